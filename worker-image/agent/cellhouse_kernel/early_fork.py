"""Forks the agent's other processes at its start: that costs a millisecond, and shares its memory.

Later, the agent has descriptors and secrets that those processes must not have. So a replacement is executed.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple, NoReturn

# The socket to the agent, as standard input. An executed process has it there, too.
CONTROL = 0
FIRST_OTHER_DESCRIPTOR = 3


class Forked(NamedTuple):
    """A forked process, and the agent's end of the socket to it."""

    pid: int
    control: socket.socket


def fork_early(run: Callable[[], None]) -> Forked:
    """Fork a process that calls `run` and ends. The agent must not have a thread, secret or descriptor yet.

    Raises OSError.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Looking for garbage would write to every page that the two share.
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _run_forked(theirs, run)
    theirs.close()
    return Forked(pid, control)


def _run_forked(control: socket.socket, run: Callable[[], None]) -> NoReturn:
    """Never return to the agent's code, whatever happens."""
    try:
        os.dup2(control.detach(), CONTROL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.closerange(FIRST_OTHER_DESCRIPTOR, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        os.environ.clear()
        run()
    finally:
        os._exit(1)


def ignore_interrupts() -> None:
    """Ctrl-C in a terminal is for the agent, who then hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
