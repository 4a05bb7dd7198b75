"""POST /input."""

from __future__ import annotations

import base64

from cellhouse_agent.inputs import InputPart
from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.requests import identifier, whole_number
from cellhouse_agent.services import Services
from cellhouse_agent.wire import Json, JsonObject, MalformedMessage

# A gateway sends longer input in parts, so that no part waits long for room.
MAX_PART_BYTES = 32_768
MAX_OFFSET = 2**53


def read(body: JsonObject) -> InputPart:
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


# Not remembered: the offset says what was taken already, and the answer must say what is taken by now.
INPUT = Operation("input", "POST", read, take_input)
