"""POST /interrupt."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from cellhouse_agent.operations.operation import Operation, request_id_of
from cellhouse_agent.requests import identifier
from cellhouse_agent.services import Services
from cellhouse_agent.wire import Json, JsonObject, MalformedMessage

# What a command may get in place of SIGINT.
SIGNALS = {number.name: number for number in (signal.SIGTERM, signal.SIGKILL)}


@dataclass(frozen=True)
class Interrupt:
    """Which execution to interrupt, the id of this request, and the signal."""

    msg_id: str
    request_id: str | None
    number: signal.Signals


def read(body: JsonObject) -> Interrupt:
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
INTERRUPT = Operation("interrupt", "POST", read, interrupt)
