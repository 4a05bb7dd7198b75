"""POST /interrupt."""

from __future__ import annotations

from dataclasses import dataclass

from cellhouse_agent.operations.operation import Operation, request_id_of
from cellhouse_agent.requests import identifier
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


@dataclass(frozen=True)
class Interrupt:
    """Which execution to interrupt, and the id of this request."""

    msg_id: str
    request_id: str | None


def read(body: JsonObject) -> Interrupt:
    """Check the fields."""
    return Interrupt(identifier(body.get("msg_id"), "msg_id"), request_id_of(body))


async def interrupt(services: Services, fields: Interrupt) -> JsonObject:
    """Interrupt one execution."""
    met = services.executor.interrupt(fields.msg_id, fields.request_id)
    return {"interrupted": met.interrupted, "known": met.known}


# Not remembered: a gateway that repeats the request must learn whether the code has arrived by now.
INTERRUPT = Operation("interrupt", "POST", read, interrupt)
