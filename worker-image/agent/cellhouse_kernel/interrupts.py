"""The effect of SIGINT at each stage of a request.

    between requests    SIGINT stops a leftover of an earlier cell, if the leftover is computing
    a request has come  SIGINT is noted, and ends the cell just before its code would begin. If it hit IPython's
                        preparation of the code, it would be swallowed, or there would be no reply. A second SIGINT
                        ends even the preparation
    the code runs       SIGINT hits the code
    an error is shown   SIGINT hits only user code that formats the error, like `__str__`; a second SIGINT ends the
                        formatting
    the code is over    as between requests: otherwise SIGINT would hit the reply, or the next cell

ipykernel's own handling is not enough. It cancels a cell with `await` from inside the signal handler and does not wake
the event loop, so that a sleeping loop keeps sleeping. It does not interrupt a cell with `await` that computes. And
while no cell runs, it ignores SIGINT, so that a leftover task can keep the kernel busy for ever.
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
    """The handlers of SIGINT, one for each stage. `own_task` returns the kernel's task, if that task runs now."""

    def __init__(self, own_task: Callable[[], asyncio.Task[Any] | None]) -> None:
        self._own_task = own_task
        self._loop = asyncio.get_event_loop()
        # The task that a cell with `await` runs in.
        self._cell: asyncio.Future[Any] | None = None
        self._is_noted = False
        self._has_begun = True
        self.end_code()

    def take_up(self) -> None:
        """A request has come, and its code does not run yet."""
        self._cell = None
        self._is_noted = self._has_begun = False
        signal.signal(signal.SIGINT, self._note)

    def begin_code(self) -> bool:
        """A part of the cell's code is about to run; False if it must not, because an interrupt came before."""
        if self._has_begun or threading.current_thread() is not threading.main_thread():
            return True
        self._has_begun = True
        # Python's own handler where possible: code may check which handler is set.
        of_code = self._cancel if self._cell else signal.default_int_handler
        # The handler is set before the note is read, so that a SIGINT between the two hits the code, too.
        signal.signal(signal.SIGINT, of_code)
        return not self._is_noted

    def begin_more(self) -> bool:
        """Other code of the request (`user_expressions`) is about to run in the kernel's task; False if it must not."""
        self._cell = None
        if not self._has_begun:
            return self.begin_code()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return True

    def end_code(self) -> None:
        """No code of the request runs any more. May be called twice."""
        self._has_begun = True
        signal.signal(signal.SIGINT, self._stop_leftover)

    @contextmanager
    def awaiting(self, cell: asyncio.Future[Any]) -> Iterator[None]:
        """Within this context, the task `cell` runs the code: SIGINT stops what it computes, or else what it awaits."""
        self._cell = cell
        yield

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Within this context, an error is shown. Before the code of the cell has begun, this changes nothing."""
        if not self._has_begun or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._is_noted = False
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            # None means that C code of the user has set the handler.
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
        """Stop a task or a callback that is not the kernel's, if one is computing."""
        running = asyncio.current_task(self._loop)
        if running is None and _runs_user_code(frame):
            raise KeyboardInterrupt
        if running not in (None, self._own_task()):
            # A KeyboardInterrupt in a task that does not catch it would end the event loop.
            raise asyncio.CancelledError
