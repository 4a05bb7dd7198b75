"""Starts the helper: an early fork of the agent (early_fork.py), or else a fresh interpreter (__main__.py)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from cellhouse_files.identity import act_as
from cellhouse_files.limits import limit_resources
from cellhouse_files.operations.table import OPERATIONS
from cellhouse_files.server import Helper
from cellhouse_kernel.early_fork import CONTROL, Forked, fork_early, ignore_interrupts
from cellhouse_kernel.identity import KERNEL_UID

# The mode of new files and folders is that of a user's shell.
UMASK = 0o022


def fork_helper(before: Callable[[], None] | None = None) -> Forked:
    """Fork the helper, as `fork_early` does. `before` runs in the helper first."""

    def run() -> None:
        if before:
            before()
        run_helper()

    return fork_early(run)


def run_helper() -> None:
    """Take the user's rights on files, and serve the agent at CONTROL until it hangs up. Then the process ends."""
    ignore_interrupts()
    os.umask(UMASK)
    limit_resources()
    act_as(KERNEL_UID)
    Helper(socket.socket(fileno=CONTROL), OPERATIONS).serve()
    os._exit(0)
