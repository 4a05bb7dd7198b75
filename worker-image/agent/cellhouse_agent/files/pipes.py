"""Pipes between agent and helper, through which archives go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

PIECE_BYTES = 262_144


class Pipe:
    """A pipe of which one end is the helper's. Waiting costs no thread."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._open = {self._reading, self._writing}
        self._loop = asyncio.get_running_loop()

    @property
    def reading(self) -> int:
        """The end to read from."""
        return self._reading

    @property
    def writing(self) -> int:
        """The end to write to."""
        return self._writing

    def close(self, *ends: int) -> None:
        """Close these ends, or both."""
        for end in ends or (self._reading, self._writing):
            if end in self._open:
                self._open.discard(end)
                os.close(end)

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while True:
            try:
                return os.read(self._reading, PIECE_BYTES)
            except BlockingIOError:
                await self._ready(self._reading, self._loop.add_reader, self._loop.remove_reader)

    async def write(self, piece: memoryview) -> None:
        """Write all of it; raises BrokenPipeError when the helper has closed its end."""
        while piece:
            try:
                piece = piece[os.write(self._writing, piece) :]
            except BlockingIOError:
                await self._ready(self._writing, self._loop.add_writer, self._loop.remove_writer)

    async def _ready(
        self,
        end: int,
        add: Callable[..., object],
        remove: Callable[[int], object],
    ) -> None:
        is_ready: asyncio.Future[None] = self._loop.create_future()
        add(end, _resolve, is_ready)
        try:
            await is_ready
        finally:
            remove(end)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
