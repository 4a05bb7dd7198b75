"""The shape of an operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from cellhouse_agent.requests import identifier
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject

Fields = TypeVar("Fields")


@dataclass(frozen=True)
class Operation(Generic[Fields]):
    """Called by http_api.py. errors.py turns what it raises into an answer."""

    # Its path.
    name: str
    # A GET only reads: it has no fields, and checks no epoch.
    method: Literal["GET", "POST"]
    # Checks the fields of the request; raises MalformedMessage.
    read: Callable[[JsonObject], Fields]
    run: Callable[[Services, Fields], Awaitable[JsonObject]]
    # Whether a repeated request_id gets the answer to the first instead of running again. If the answer must describe
    # the current state, this is False, and `run` itself must act only once for each id.
    is_remembered: bool = False


def no_fields(_body: JsonObject) -> None:
    """For an operation without fields of its own."""


def request_id_of(body: JsonObject) -> str | None:
    """The id that all repetitions of this request share, if it has one; raises MalformedMessage."""
    value = body.get("request_id")
    return None if value is None else identifier(value, "request_id")
