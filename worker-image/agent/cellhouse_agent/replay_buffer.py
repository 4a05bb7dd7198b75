"""Frames that a gateway has not stored yet.

Every frame has a `seq`, from 1 without holes. Frames stay until they are acknowledged, so that a gateway that connects
anew gets everything after the last it has stored. Output is refused when the buffer is full (the caller counts it and
reports a gap); status and replies always go in, and are few: the executor bounds the executions that are not stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

# What a frame costs beside its bytes (object headers, the table entry), so that many small ones are counted rightly.
FRAME_OVERHEAD_BYTES = 150
# How long a frame that can wait waits for one that cannot.
WAIT_SECONDS = 0.002


class ReplayBuffer:
    """A queue of frames between the kernel and the gateway, bounded in bytes for output."""

    def __init__(self, capacity_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._capacity_bytes = capacity_bytes
        self._now = now
        self._frames: dict[int, bytes] = {}
        self._first_seq = 1
        self._last_seq = 0
        self._size_bytes = 0
        self._grown = asyncio.Event()
        # Of whoever waits for a frame.
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
        """What the frames held now take."""
        return self._size_bytes

    def has_room(self, body_bytes: int) -> bool:
        """Whether output of this size may be appended."""
        return self._size_bytes + body_bytes + FRAME_OVERHEAD_BYTES <= self._capacity_bytes

    def append(self, body: Iterable[bytes], can_wait: bool = False) -> int:
        """Append a frame, given as the parts of a JSON object after its first brace; returns its seq. Never refuses.

        `seq` and `at` come first. The parts are joined here, once: each copy of a large frame counts. One that can wait
        is told with the next that cannot, or after WAIT_SECONDS.
        """
        self._last_seq += 1
        head = b'{"seq":%d,"at":%.3f,' % (self._last_seq, self._now() * 1000)
        frame = b"".join((head, *body))
        self._frames[self._last_seq] = frame
        self._size_bytes += len(frame) + FRAME_OVERHEAD_BYTES
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
        """Free every frame up to `seq`. A seq that was never made is another agent's and frees nothing."""
        if seq > self._last_seq:
            return
        while self._first_seq <= seq:
            frame = self._frames.pop(self._first_seq)
            self._size_bytes -= len(frame) + FRAME_OVERHEAD_BYTES
            self._first_seq += 1

    def get(self, seq: int) -> bytes | None:
        """The frame with this seq, if it is held."""
        return self._frames.get(seq)

    def frames_from(self, seq: int, max_bytes: int) -> list[bytes]:
        """Frames from the one with this seq on, which is held: at least one, more while they are within `max_bytes`."""
        frames: list[bytes] = []
        size = 0
        while (frame := self._frames.get(seq + len(frames))) is not None:
            size += len(frame)
            if frames and size > max_bytes:
                break
            frames.append(frame)
        return frames

    async def wait_for(self, seq: int) -> None:
        """Return once the frame with this seq has been made, and need not wait."""
        while self._last_seq < seq:
            self._grown.clear()
            self._loop = asyncio.get_running_loop()
            await self._grown.wait()
