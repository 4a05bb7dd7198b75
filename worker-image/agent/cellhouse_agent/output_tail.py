"""Reads what a process writes to its real stdout and stderr, and keeps the end of it.

These are never the stdout and stderr of the container. Otherwise the container's log would grow with the output of user
code, and would block the process while the Docker engine is down.
"""

from __future__ import annotations

import asyncio
import os

# Enough to explain why a process ended.
TAIL_BYTES = 2_000
READ_BYTES = 65_536


class OutputTail:
    """Owns a pipe, and reads it until it ends or `close` is called."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._tail = b""
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    @property
    def text(self) -> str:
        """The end of what has been read so far."""
        return self._tail.decode(errors="replace").strip()

    def read_rest(self) -> None:
        """Read what is left after the process has ended."""
        while not self._is_closed and self._read():
            pass

    def _read(self) -> bool:
        """Read one piece, so that a flood leaves the agent time for other things; true if there may be more."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return False
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not data:
            self.close()
        return bool(data)

    def close(self) -> None:
        """Stop reading. A process that still writes gets SIGPIPE or EPIPE."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
