"""The operations that a gateway can ask for: for each, the check of its fields, its function, and its definition."""

from __future__ import annotations

import base64
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from cellhouse_agent.executions.inputs import InputPart
from cellhouse_agent.executions.questions import Question, question_of
from cellhouse_agent.files.helper import FileRefused
from cellhouse_agent.gateway.requests import (
    Context,
    TerminalSize,
    checked_variables,
    context_of,
    identifier,
    size_of,
    whole_number,
)
from cellhouse_agent.json_values import Json, JsonObject, MalformedMessage
from cellhouse_agent.services import Services
from cellhouse_agent.usage.container import disk_use

Fields = TypeVar("Fields")


@dataclass(frozen=True)
class Operation(Generic[Fields]):
    """Called by http_api.py, which also turns its exceptions into answers."""

    # Its path.
    name: str
    # A GET only reads: it has no fields, and checks no epoch.
    method: Literal["GET", "POST"]
    # Checks the fields of the request; raises MalformedMessage.
    read: Callable[[JsonObject], Fields]
    run: Callable[[Services, Fields], Awaitable[JsonObject]]
    # Whether a repeated request_id gets the answer to the first instead of running again. If the answer must describe
    # the current state, this is False, and then repeating `run` must do no harm.
    is_remembered: bool = False


def no_fields(_body: JsonObject) -> None:
    """For an operation without fields of its own."""


def request_id_of(body: JsonObject) -> str | None:
    """The id that all repetitions of this request share, if it has one; raises MalformedMessage."""
    value = body.get("request_id")
    return None if value is None else identifier(value, "request_id")


class Ask(NamedTuple):
    """The question, and the context whose kernel is asked. None: the default context."""

    context_id: str | None
    question: Question


def _read_ask(body: JsonObject) -> Ask:
    """Check the fields."""
    context_id = body.get("context_id")
    where = None if context_id is None else identifier(context_id, "context_id")
    return Ask(where, question_of(body))


async def ask(services: Services, asked: Ask) -> JsonObject:
    """Ask a kernel. The answer is null if the kernel is not free, or does not answer in time."""
    return {"answer": await services.executor.ask(*asked)}


# Not remembered: a question changes nothing, and its answer is worth nothing later.
ASK = Operation("ask", "POST", _read_ask, ask)


def _read_context(body: JsonObject) -> Context:
    """Check the fields."""
    return context_of(body.get("context_id"), body.get("working_directory"))


async def create_context(services: Services, context: Context) -> JsonObject:
    """Make a context, unless it exists already, and answer when its kernel is ready. Raises FileRefused."""
    if context.working_directory is not None:
        look = {"path": context.working_directory, "follow": True}
        answer = await services.files.ask("stat", look)
        if answer.fields["kind"] != "directory":
            raise FileRefused("not_a_directory", "The working directory is no folder.")
    return {"kernel_generation": await services.executor.contexts.create(context)}


# Not remembered: a context that exists already is not made again.
CONTEXTS = Operation("contexts", "POST", _read_context, create_context)


def _read_context_id(body: JsonObject) -> str:
    """Check the fields."""
    return identifier(body.get("context_id"), "context_id")


async def delete_context(services: Services, context_id: str) -> JsonObject:
    """End a context for ever, and answer when all its processes have ended."""
    return {"deleted": await services.executor.contexts.delete(context_id)}


DELETE_CONTEXT = Operation(
    "delete_context", "POST", _read_context_id, delete_context, is_remembered=True
)


# A gateway may use a feature only if `health` lists it: an older agent would ignore the request.
FEATURES = ("processes",)
# Listed only if the agent has egress: a listener for code, and streams of the gateway behind it.
EGRESS_FEATURE = "egress"


async def health(services: Services, _fields: None) -> JsonObject:
    """Report that the agent is alive, and the state of its kernels."""
    contexts: list[Json] = [*services.executor.contexts.told()]
    return {
        "status": "ok",
        "boot_id": services.boot_id,
        "kernel": services.executor.state,
        "features": [*FEATURES, *([EGRESS_FEATURE] if services.egress else [])],
        "contexts": contexts,
        "kernel_info": services.executor.kernel_facts,
    }


HEALTH = Operation("health", "GET", no_fields, health)


# A gateway sends longer input in parts, so that no part waits long for room.
MAX_PART_BYTES = 32_768
MAX_OFFSET = 2**53


def _read_input(body: JsonObject) -> InputPart:
    """Check the fields."""
    is_last = body.get("close", False)
    if not isinstance(is_last, bool):
        raise MalformedMessage("close must be true or false")
    return InputPart(
        identifier(body.get("msg_id"), "msg_id"),
        whole_number(body.get("offset"), "offset", 0, MAX_OFFSET),
        _bytes(body.get("base64", "")),
        is_last,
    )


def _bytes(value: Json) -> bytes:
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:
        data = None
    if data is None or len(data) > MAX_PART_BYTES:
        raise MalformedMessage(f"base64 must be the base64 of at most {MAX_PART_BYTES} bytes")
    return data


async def take_input(services: Services, part: InputPart) -> JsonObject:
    """Take a part of an execution's input."""
    taken = await services.executor.inputs.take(part)
    return {"known": taken.is_known, "accepted": taken.accepted, "closed": taken.is_closed}


# Not remembered: the offset says which bytes were taken before, and the answer must say how many are taken by now.
INPUT = Operation("input", "POST", _read_input, take_input)


# The signals that a command may get in place of SIGINT.
SIGNALS = {number.name: number for number in (signal.SIGTERM, signal.SIGKILL)}


@dataclass(frozen=True)
class Interrupt:
    """Which execution to interrupt, the id of this request, and the signal."""

    msg_id: str
    request_id: str | None
    number: signal.Signals


def _read_interrupt(body: JsonObject) -> Interrupt:
    """Check the fields."""
    msg_id = identifier(body.get("msg_id"), "msg_id")
    return Interrupt(msg_id, request_id_of(body), _signal_of(body.get("signal")))


def _signal_of(value: Json) -> signal.Signals:
    if value is None:
        return signal.SIGINT
    if not isinstance(value, str) or value not in SIGNALS:
        raise MalformedMessage(f"signal must be one of {', '.join(SIGNALS)}")
    return SIGNALS[value]


async def interrupt(services: Services, fields: Interrupt) -> JsonObject:
    """Interrupt one execution."""
    met = services.executor.interrupt(fields.msg_id, fields.request_id, fields.number)
    return {"interrupted": met.interrupted, "known": met.known}


# Not remembered: a gateway that repeats the request must learn whether the code has arrived by now.
INTERRUPT = Operation("interrupt", "POST", _read_interrupt, interrupt)


class Resize(NamedTuple):
    """A command, and the new size of its terminal."""

    msg_id: str
    size: TerminalSize


def _read_resize(body: JsonObject) -> Resize:
    """Check the fields."""
    return Resize(identifier(body.get("msg_id"), "msg_id"), size_of(body))


async def resize(services: Services, fields: Resize) -> JsonObject:
    """Change the size of a command's terminal."""
    return {"known": services.executor.commands.resize(*fields)}


# Not remembered: the latest size counts.
RESIZE = Operation("resize", "POST", _read_resize, resize)


def _read_restart(body: JsonObject) -> str | None:
    """Check the fields; None: the default context."""
    context_id = body.get("context_id")
    return None if context_id is None else identifier(context_id, "context_id")


async def restart(services: Services, context_id: str | None) -> JsonObject:
    """Replace a context's kernel, and answer when the fresh one is ready."""
    return {"kernel_generation": await services.executor.restart(context_id)}


RESTART = Operation("restart", "POST", _read_restart, restart, is_remembered=True)


async def usage(services: Services, _fields: None) -> JsonObject:
    """The container's counters, and how full its disks are. The clock tells how far apart two answers are."""
    counters, disks = services.usage, disk_use()
    return {
        "clock_ms": round(time.monotonic() * 1_000, 3),
        "cpu_ms": counters.cpu_ms(),
        "memory_bytes": counters.memory_bytes(),
        "memory_limit_bytes": counters.memory_limit_bytes(),
        "cache_bytes": counters.cache_bytes(),
        "disk_bytes": disks.used_bytes,
        "disk_limit_bytes": disks.limit_bytes,
        "oom_kills": counters.oom_kills(),
    }


USAGE = Operation("usage", "GET", no_fields, usage)


def _read_variables(body: JsonObject) -> dict[str, str]:
    """Check the fields."""
    return checked_variables(body.get("variables"))


async def set_variables(services: Services, variables: dict[str, str]) -> JsonObject:
    """Set these variables in every kernel before its next code, in later kernels, and in commands.

    Without any variable, nothing changes. A gateway sends such a request to learn whether the agent knows the
    operation. By then, another gateway may have opened this worker's session, and its variables must stay.
    """
    if variables:
        services.executor.set_variables(variables)
    return {"count": len(variables)}


# Not remembered: repeating the request has no further effect.
VARIABLES = Operation("variables", "POST", _read_variables, set_variables)


# All operations. The gateway's own table is `src/kernel/agent/operations.ts`.
OPERATIONS: tuple[Operation[Any], ...] = (
    ASK,
    CONTEXTS,
    DELETE_CONTEXT,
    HEALTH,
    INPUT,
    INTERRUPT,
    RESIZE,
    RESTART,
    USAGE,
    VARIABLES,
)
