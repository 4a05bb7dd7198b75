"""Frames that a gateway has not stored yet.

Every frame has a `seq`, counted from 1 without gaps. Frames stay until they are acknowledged, so that a gateway that
reconnects gets everything after the last frame it stored. A full buffer refuses output: the caller counts the output
and reports a gap. Status messages and replies are always accepted. They are few, since the executor limits how many
executions may have an end that is not stored. While several executions run, each has a share (shares.py), so that a
flood of one leaves room for the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from cellhouse_agent.shares import Shares

# The memory that a frame takes beside its bytes (object headers, table entry), so that small frames count fully.
FRAME_OVERHEAD_BYTES = 150
# How long a frame with `can_wait` waits to be sent together with a later one.
WAIT_SECONDS = 0.002


class ReplayBuffer:
    """A queue of frames between the kernel and the gateway, bounded in bytes for output."""

    def __init__(self, capacity_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._capacity_bytes = capacity_bytes
        self._now = now
        self._frames: dict[int, bytes] = {}
        self.shares = Shares()
        self._first_seq = 1
        self._last_seq = 0
        self._size_bytes = 0
        self._grown = asyncio.Event()
        # The event loop of `wait_for`.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._late: asyncio.TimerHandle | None = None

    @property
    def first_seq(self) -> int:
        """The oldest frame that can be replayed (last_seq + 1 when there is none)."""
        return self._first_seq

    @property
    def last_seq(self) -> int:
        """The newest frame ever made; 0 before the first."""
        return self._last_seq

    @property
    def size_bytes(self) -> int:
        """The memory that the held frames take."""
        return self._size_bytes

    def has_room(self, body_bytes: int, owner: bytes = b"") -> bool:
        """Whether output of this size may be appended for this execution."""
        size = body_bytes + FRAME_OVERHEAD_BYTES
        has_room = self._size_bytes + size <= self._capacity_bytes
        return has_room and self.shares.may_hold(owner, size, self._capacity_bytes)

    def append(self, body: Iterable[bytes], can_wait: bool = False, owner: bytes = b"") -> int:
        """Append a frame of this execution and return its seq; never refuses.

        `body` is the text of a JSON object without its first brace, in parts. In the frame, `seq` and `at` precede it.
        The parts are joined only here: each copy of a large frame takes time. A frame that can wait wakes the reader
        only with the next frame that cannot, or after WAIT_SECONDS.
        """
        self._last_seq += 1
        head = b'{"seq":%d,"at":%.3f,' % (self._last_seq, self._now() * 1000)
        frame = b"".join((head, *body))
        self._frames[self._last_seq] = frame
        size = len(frame) + FRAME_OVERHEAD_BYTES
        self._size_bytes += size
        self.shares.add(owner, self._last_seq, size)
        if not can_wait or self._loop is None:
            self._tell()
        elif self._late is None and not self._grown.is_set():
            self._late = self._loop.call_later(WAIT_SECONDS, self._tell)
        return self._last_seq

    def _tell(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None
        self._grown.set()

    def ack(self, seq: int) -> None:
        """Free every frame up to `seq`. A seq that was never made belongs to another agent, and is ignored."""
        if seq > self._last_seq:
            return
        while self._first_seq <= seq:
            size = len(self._frames.pop(self._first_seq)) + FRAME_OVERHEAD_BYTES
            self._size_bytes -= size
            self.shares.free(self._first_seq, size)
            self._first_seq += 1

    def get(self, seq: int) -> bytes | None:
        """The frame with this seq, if it is held."""
        return self._frames.get(seq)

    async def wait_for(self, seq: int) -> None:
        """Return once the frame with this seq exists; one that can wait may wake the caller late."""
        while self._last_seq < seq:
            self._grown.clear()
            self._loop = asyncio.get_running_loop()
            await self._grown.wait()
