"""Turns a process that was just forked into a kernel."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

from cellhouse_kernel.identity import KERNEL_UID
from cellhouse_kernel.packages import find_packages, find_users_packages
from cellhouse_kernel.privileges import give_up_privileges
from cellhouse_kernel.seeds import refresh_seeds
from cellhouse_kernel.serve import serve_kernel, wait_for_start
from cellhouse_kernel.yielding import yield_to_agent

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
    link = wait_for_start()
    if link:
        find_packages()
        find_users_packages()
        refresh_seeds()
        serve_kernel(link)


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
