"""The input of all executions that take some, from when a request is accepted until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

# How long the answer to a part waits until there is room for all of it. A gateway sends the rest as soon as it has the
# answer, so the agent delays the answer. This is shorter than the operation's time limit
# (docs/internals/worker-protocol.md).
HOLD_SECONDS = 2.0


class InputPart(NamedTuple):
    """Some bytes of an execution's input. The first byte of the input has the offset 0."""

    msg_id: str
    offset: int
    data: bytes
    is_last: bool


class Taken(NamedTuple):
    """The answer to a part."""

    # The execution runs or is queued, and takes input.
    is_known: bool
    # How many bytes have been taken so far, from all parts.
    accepted: int
    # Nothing more is taken.
    is_closed: bool


UNKNOWN = Taken(False, 0, False)


class Inputs:
    """The input buffers of all executions that take input, by msg_id."""

    def __init__(self) -> None:
        self._open: dict[str, InputBuffer] = {}

    def begin(self, msg_id: str) -> None:
        """This execution takes input."""
        self._open[msg_id] = InputBuffer()

    def of(self, msg_id: str) -> InputBuffer | None:
        """The input of this execution, if it takes any."""
        return self._open.get(msg_id)

    def end(self, msg_id: str) -> None:
        """This execution has ended: forget its unread input."""
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


# The most bytes that wait to be read. A gateway keeps the rest, so these need only last until it has sent more.
MAX_UNREAD_BYTES = 1_048_576


class OutOfOrder(Exception):
    """Input before this part is missing: the next part must begin at the offset `accepted`, or earlier."""

    def __init__(self, accepted: int) -> None:
        super().__init__()
        self.accepted = accepted


class InputBuffer:
    """The input of one execution: bytes that a gateway has sent, counted from the first, until somebody reads them.

    States: open -> closed (nothing more is taken). An open or closed buffer can be dropped, too: then it is empty, and
    input that is still taken is thrown away.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.is_closed = False
        self._is_dropped = False
        self._unread = bytearray()
        self._watch: Callable[[], None] | None = None
        self._has_room = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether everything has been read, and nothing more comes."""
        return self.is_closed and not self._unread

    def take(self, offset: int, data: bytes, is_last: bool) -> bool:
        """Take the bytes that are new and fit; returns whether new bytes are left. Raises OutOfOrder.

        With the last byte of the last part, the input is closed.
        """
        if offset > self.accepted:
            raise OutOfOrder(self.accepted)
        if self.is_closed:
            return False
        fresh = data[self.accepted - offset :]
        taken = fresh if self._is_dropped else fresh[: MAX_UNREAD_BYTES - len(self._unread)]
        self.accepted += len(taken)
        if not self._is_dropped:
            self._unread += taken
        self.is_closed = is_last and self.accepted == offset + len(data)
        if self._watch and (taken or self.is_closed):
            self._watch()
        return len(taken) < len(fresh)

    async def wait_room(self) -> None:
        """Return when more has been read, or nobody reads any more."""
        self._has_room.clear()
        await self._has_room.wait()

    def watch(self, watch: Callable[[], None]) -> None:
        """Call `watch` now, and whenever there is more to read or the input ends."""
        self._watch = watch
        watch()

    def peek(self, max_bytes: int) -> bytes:
        """The next bytes, which stay unread."""
        return bytes(self._unread[:max_bytes])

    def skip(self, count: int) -> None:
        """Remove this many bytes, which have been read."""
        del self._unread[:count]
        self._has_room.set()

    def take_line(self) -> tuple[bytes, bool] | None:
        """Read a line; returns it and whether it is complete, or None if it has not arrived yet.

        A line that does not fit is read in pieces. The last line may have no newline. After it, all lines are empty.
        """
        end = self._unread.find(b"\n") + 1
        if not end:
            if not self.is_closed and len(self._unread) < MAX_UNREAD_BYTES:
                return None
            end = len(self._unread)
        line = self.peek(end)
        self.skip(end)
        return line, self.is_closed or line.endswith(b"\n")

    def drop(self) -> None:
        """Throw all input away: nobody reads any more."""
        self._watch = None
        self._is_dropped = True
        self.skip(len(self._unread))
