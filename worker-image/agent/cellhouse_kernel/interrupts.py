"""What SIGINT does while a cell with `await` runs, and while none runs.

ipykernel asks the event loop to cancel the cell, from inside the signal handler and without waking the loop, so that a
loop that sleeps goes on sleeping; and code that computes without ever awaiting is not interrupted at all. While no cell
runs it ignores SIGINT, so that a task left behind can hold the kernel for ever.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ipykernel.compiler import get_tmp_directory


def _runs_user_code(frame: FrameType | None) -> bool:
    """Whether code of a cell is on the stack."""
    folder = get_tmp_directory()
    while frame is not None:
        if frame.f_code.co_filename.startswith(folder):
            return True
        frame = frame.f_back
    return False


def _interrupt_other(running: Any, kernels_own: Any, frame: FrameType | None) -> None:
    """Stop a task or a callback that is not the kernel's, if one computes just now."""
    if running is None and _runs_user_code(frame):
        raise KeyboardInterrupt
    if running not in (None, kernels_own):
        # A KeyboardInterrupt in a task that does not catch it would end the event loop.
        raise asyncio.CancelledError


def interrupt_leftovers(dispatcher: Callable[[], asyncio.Task[Any] | None]) -> None:
    """From now on, SIGINT outside of a cell stops what an earlier cell left behind, if that computes just now."""
    loop = asyncio.get_event_loop()

    def interrupt(_number: int, frame: FrameType | None) -> None:
        _interrupt_other(asyncio.current_task(loop), dispatcher(), frame)

    signal.signal(signal.SIGINT, interrupt)


@contextmanager
def cancelled_by_sigint(cell: asyncio.Future[Any]) -> Iterator[None]:
    """While it is entered, SIGINT stops the cell: what it computes just now, or else what it awaits."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.current_task()

    def interrupt(_number: int, frame: FrameType | None) -> None:
        running = asyncio.current_task(loop)
        if running is cell:
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(cell.cancel)
        _interrupt_other(running, waiting, frame)

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
