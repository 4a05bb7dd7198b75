"""Starts the helper: a fork of the agent that knows nothing yet, or else a fresh interpreter (__main__.py).

The fork shares the memory of the interpreter and of all modules with the agent, and costs a millisecond. Later the
agent has descriptors and memory that the helper must not have, so a helper that replaces one is executed.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from cellhouse_files.identity import act_as
from cellhouse_files.limits import limit_resources
from cellhouse_files.operations.table import OPERATIONS
from cellhouse_files.server import Helper
from cellhouse_kernel.identity import KERNEL_UID

CONTROL = 0
FIRST_OTHER_DESCRIPTOR = 3
# The mode of new files and folders is that of a user's shell.
UMASK = 0o022


class Forked(NamedTuple):
    """A helper, and the agent's end of the socket to it."""

    pid: int
    control: socket.socket


def fork_helper(before: Callable[[], None] | None = None) -> Forked:
    """Fork the helper; call it before the agent has any thread, secret or descriptor. Raises OSError.

    `before` runs in the helper first.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Looking for garbage would write to every page that the two share.
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _run_forked(theirs, before)
    theirs.close()
    return Forked(pid, control)


def _run_forked(control: socket.socket, before: Callable[[], None] | None) -> NoReturn:
    """Never return to the agent's code, whatever happens."""
    try:
        os.dup2(control.detach(), CONTROL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.closerange(FIRST_OTHER_DESCRIPTOR, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        os.environ.clear()
        if before:
            before()
        run_helper()
    finally:
        os._exit(1)


def run_helper() -> None:
    """Take the user's rights on files, and serve the agent at CONTROL until it hangs up. Then the process ends."""
    # Ctrl-C in a terminal is for the agent, who then hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(UMASK)
    limit_resources()
    act_as(KERNEL_UID)
    Helper(socket.socket(fileno=CONTROL), OPERATIONS).serve()
    os._exit(0)
