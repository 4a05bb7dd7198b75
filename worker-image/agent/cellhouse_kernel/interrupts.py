"""What SIGINT does while a cell with `await` runs.

ipykernel asks the event loop to cancel the cell, from inside the signal handler and without waking the loop, so that a
loop that sleeps goes on sleeping; and code that computes without ever awaiting is not interrupted at all.
"""

from __future__ import annotations

import asyncio
import signal
from asyncio.events import Handle
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def _is_in_callback(frame: FrameType | None) -> bool:
    """Whether the event loop is running something, and not waiting."""
    while frame is not None:
        if frame.f_code is Handle._run.__code__:
            return True
        frame = frame.f_back
    return False


@contextmanager
def cancelled_by_sigint(cell: asyncio.Future[Any]) -> Iterator[None]:
    """While it is entered, SIGINT stops the cell: what it computes just now, or else what it awaits."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.current_task()

    def interrupt(_number: int, frame: FrameType | None) -> None:
        running = asyncio.current_task(loop)
        if running is not cell:
            loop.call_soon_threadsafe(cell.cancel)
        if running is cell or (running is None and _is_in_callback(frame)):
            raise KeyboardInterrupt
        if running not in (None, waiting):
            # A KeyboardInterrupt in a task that does not catch it would end the event loop.
            raise asyncio.CancelledError

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
