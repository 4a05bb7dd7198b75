"""The input of one execution: bytes that a gateway has sent, counted from the first, until somebody reads them.

States: open -> closed (nothing more is taken). An open or closed buffer can be dropped, too: then it is empty, and
input that is still taken is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# The most bytes that wait to be read. A gateway keeps the rest, so these need only last until it has sent more.
MAX_UNREAD_BYTES = 1_048_576


class OutOfOrder(Exception):
    """Input before this one is missing: the next byte to come is the one with the number `accepted`."""

    def __init__(self, accepted: int) -> None:
        super().__init__()
        self.accepted = accepted


class InputBuffer:
    """A queue of bytes between a gateway and the reader of the input."""

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
