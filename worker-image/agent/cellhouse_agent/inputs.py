"""The input of all executions that take some, from when a request is accepted until it ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple

from cellhouse_agent.input_buffer import InputBuffer

# How long input waits for room before its sender is answered. After an answer, a gateway would send the rest at once,
# so the wait is here. It is shorter than the operation's time limit (docs/internals/worker-protocol.md).
HOLD_SECONDS = 2.0


class InputPart(NamedTuple):
    """Some bytes of an execution's input. The first of all has the offset 0."""

    msg_id: str
    offset: int
    data: bytes
    is_last: bool


class Taken(NamedTuple):
    """What has become of a part."""

    # The execution runs or is queued, and takes input.
    is_known: bool
    # How many bytes have been taken so far, by all parts.
    accepted: int
    # Nothing more is taken.
    is_closed: bool


UNKNOWN = Taken(False, 0, False)


class Inputs:
    """Buffers by the ids of their requests."""

    def __init__(self) -> None:
        self._open: dict[str, InputBuffer] = {}

    def begin(self, msg_id: str) -> None:
        """This execution takes input."""
        self._open[msg_id] = InputBuffer()

    def of(self, msg_id: str) -> InputBuffer | None:
        """The input of this execution, if it takes any."""
        return self._open.get(msg_id)

    def end(self, msg_id: str) -> None:
        """This execution has ended: forget what it has not read."""
        if buffer := self._open.pop(msg_id, None):
            buffer.drop()

    async def take(self, part: InputPart) -> Taken:
        """Take a part, once. While there is no room for all of it, wait for up to HOLD_SECONDS. Raises OutOfOrder."""
        buffer = self._open.get(part.msg_id)
        if not buffer:
            return UNKNOWN
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_SECONDS):
                while buffer.take(part.offset, part.data, part.is_last):
                    await buffer.wait_room()
        is_known = self._open.get(part.msg_id) is buffer
        return Taken(True, buffer.accepted, buffer.is_closed) if is_known else UNKNOWN
