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
    """Called by http_api.py; what it raises, errors.py turns into an answer."""

    # Its path.
    name: str
    # GET only looks: it has no fields and no fence.
    method: Literal["GET", "POST"]
    # Checks what the request says; raises MalformedMessage.
    read: Callable[[JsonObject], Fields]
    run: Callable[[Services, Fields], Awaitable[JsonObject]]
    # A request_id that comes again is not run again: it waits for the first, and is answered like it. Where the answer
    # must tell how things are by then, `run` itself does each id once.
    is_remembered: bool = False


def no_fields(_body: JsonObject) -> None:
    """For an operation that has none beside what all have."""


def request_id_of(body: JsonObject) -> str | None:
    """What names this request however often it is sent, if anything does; raises MalformedMessage."""
    value = body.get("request_id")
    return None if value is None else identifier(value, "request_id")
