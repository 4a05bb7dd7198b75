"""What SIGINT does, from one moment of a request to the next.

    between requests    it stops what an earlier cell left behind, if that computes just now
    a request is there  it is noted, and hits the cell as soon as its code begins: what IPython does before that would
                        swallow it, or end without a reply. One that comes again ends that, too
    the code runs       it hits the code
    an error is shown   it hits nothing but code in it, `__str__` or the like; one that comes again ends the showing
    the code is over    as between requests: it would only hit the reply, or the next cell

ipykernel asks the event loop to cancel a cell with `await`, from inside the signal handler and without waking the
loop, so that a loop that sleeps goes on sleeping; and code that computes without ever awaiting is not interrupted at
all. While no cell runs it ignores SIGINT, so that a task left behind can hold the kernel for ever.
"""

from __future__ import annotations

import asyncio
import signal
import threading
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


class Interrupts:
    """The handlers of SIGINT, one for each moment. `own_task` is the kernel's task, if that is what runs now."""

    def __init__(self, own_task: Callable[[], asyncio.Task[Any] | None]) -> None:
        self._own_task = own_task
        self._loop = asyncio.get_event_loop()
        # The task that a cell with `await` runs in.
        self._cell: asyncio.Future[Any] | None = None
        self._is_noted = False
        self._has_begun = True
        self.end_code()

    def take_up(self) -> None:
        """A request is there, and no code of it runs yet."""
        self._cell = None
        self._is_noted = self._has_begun = False
        signal.signal(signal.SIGINT, self._note)

    def begin_code(self) -> bool:
        """Code of the cell is about to run, the first or more of it; False if it must not: an interrupt came before."""
        if self._has_begun or threading.current_thread() is not threading.main_thread():
            return True
        self._has_begun = True
        # Code may look whether it is Python's own.
        of_code = self._cancel if self._cell else signal.default_int_handler
        # In this order: what comes in between hits, too.
        signal.signal(signal.SIGINT, of_code)
        return not self._is_noted

    def end_code(self) -> None:
        """No code of the request runs any more. May be called twice."""
        self._has_begun = True
        signal.signal(signal.SIGINT, self._stop_leftover)

    @contextmanager
    def awaiting(self, cell: asyncio.Future[Any]) -> Iterator[None]:
        """While it is entered, the cell runs in this task: SIGINT stops what it computes, or else what it awaits."""
        self._cell = cell
        yield

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While it is entered, an error is shown: of the cell, or of what comes before its code, where all is noted."""
        if not self._has_begun or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._is_noted = False
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            # None: C code of the user's has set it.
            signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)

    def _note(self, _number: int, frame: FrameType | None) -> None:
        is_again, self._is_noted = self._is_noted, True
        running = asyncio.current_task(self._loop)
        if running not in (None, self._cell, self._own_task()):
            raise asyncio.CancelledError
        if is_again or _runs_user_code(frame):
            raise KeyboardInterrupt

    def _cancel(self, _number: int, frame: FrameType | None) -> None:
        cell = self._cell
        if cell is None or asyncio.current_task(self._loop) is cell:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(cell.cancel)
        self._stop_leftover(_number, frame)

    def _stop_leftover(self, _number: int, frame: FrameType | None) -> None:
        """Stop a task or a callback that is not the kernel's, if one computes just now."""
        running = asyncio.current_task(self._loop)
        if running is None and _runs_user_code(frame):
            raise KeyboardInterrupt
        if running not in (None, self._own_task()):
            # A KeyboardInterrupt in a task that does not catch it would end the event loop.
            raise asyncio.CancelledError
