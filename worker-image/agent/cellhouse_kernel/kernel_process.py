"""Turns a process that was just forked into a kernel, and serves the kernel on its link."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, NamedTuple

from cellhouse_kernel.packages import find_packages, find_users_packages
from cellhouse_kernel.preload import prepare_environment, prepare_imports
from cellhouse_kernel.privileges import (
    HOME,
    KERNEL_UID,
    forbid_inotify,
    give_up_privileges,
    yield_to_agent,
)

FIRST_OTHER_DESCRIPTOR = 3


class Descriptors(NamedTuple):
    """The descriptors that a kernel starts with."""

    link: int
    output: int


def run_forked(descriptors: Descriptors) -> None:
    """Run a kernel until it is told to stop."""
    _leave_server()
    _take_descriptors(descriptors)
    yield_to_agent()
    give_up_privileges(KERNEL_UID)
    link = _wait_for_start()
    if link:
        find_packages()
        find_users_packages()
        refresh_seeds()
        _serve_kernel(link)


def _leave_server() -> None:
    """Undo the signal handling of the fork server, and leave its session."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()


def _take_descriptors(given: Descriptors) -> None:
    """Make these the three standard descriptors, and close all others."""
    os.dup2(given.link, 0)
    os.dup2(given.output, 1)
    os.dup2(given.output, 2)
    os.closerange(FIRST_OTHER_DESCRIPTOR, os.sysconf("SC_OPEN_MAX"))


def _wait_for_start() -> socket.socket | None:
    """Wait for a first packet on standard input, which is the link; None if the link closes without one.

    The link has no name, so nothing can connect to it or take its place. It moves to a descriptor that no program of
    user code inherits. Standard input is empty from then on.
    """
    link = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return link if link.recv(1) else None


def _serve_kernel(link: socket.socket) -> None:
    """Serve a kernel until told to stop."""
    forbid_inotify()
    # User code may have removed its own access to the home. The kernel starts even so, or no code could restore it.
    with suppress(PermissionError):
        os.chdir(HOME)
    prepare_environment()
    with prepare_imports():
        from cellhouse_kernel.app import KernelApp

        app = KernelApp.instance()
        app.use_link(link)
        app.initialize([])
    app.start()


def refresh_seeds() -> None:
    """Give every preloaded source of randomness a seed of its own. Python's `random` does so by itself at a fork."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random:
        numpy_random.seed()
    process: Any = sys.modules.get("multiprocessing.process")
    if process:
        # With this key, one process of user code proves to another that both belong to the same program.
        process.current_process().authkey = os.urandom(32)
