"""Children that user code forks with `os.fork()`: they share the kernel's sockets, and must not act as a second kernel.

A child that returns from its cell would behave like the kernel: it would send a reply, and take requests that its
parent then misses. So a child ends when its code ends, and its event loop watches none of its parent's descriptors.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from typing import Any, NoReturn

_kernel_pid = os.getpid()


def is_forked_child() -> bool:
    """Whether this process was forked from the kernel."""
    return os.getpid() != _kernel_pid


def watch_forks(loop: asyncio.AbstractEventLoop) -> None:
    """From now on, this process is the kernel; a child of it gets an event loop of its own."""
    global _kernel_pid
    _kernel_pid = os.getpid()
    os.register_at_fork(after_in_child=lambda: _detach(loop))


def _detach(loop: Any) -> None:
    """Drop the parent's callbacks and its epoll, which would still report events of the parent's sockets."""
    for handle in [*getattr(loop, "_ready", ()), *getattr(loop, "_scheduled", ())]:
        handle.cancel()
    selector: Any = getattr(loop, "_selector", None)
    if isinstance(getattr(selector, "_selector", None), select.epoll):
        selector._selector.close()
        selector._selector = select.epoll()


def leave_forked_child(*errors: Any) -> NoReturn:
    """End a child as Python would have ended a program that ran the same code."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        error = next((error for error in errors if error), None)
        code = error.code if isinstance(error, SystemExit) else error
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
