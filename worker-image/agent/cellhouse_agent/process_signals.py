"""Signals a process that is known by its id and start, and never another one that has got its id since."""

from __future__ import annotations

import os
import signal

from cellhouse_agent.process_table import start_of


def send_signal(pid: int, start: int, number: signal.Signals) -> None:
    """Send a signal, unless the process has been reaped."""
    handle = _open_handle(pid)
    try:
        # Checked after the handle was opened: if the process is still the same, the handle refers to it. Without a
        # handle, nobody can get its id in so short a time, since ids are given out one after another.
        if start_of(pid) != start:
            return
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        # It ended by itself, which is what was wanted.
        return
    finally:
        if handle is not None:
            os.close(handle)


def _open_handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        # The system has no such handles (gVisor), or the process has ended.
        return None
