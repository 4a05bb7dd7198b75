"""Starts the spawner: an early fork of the agent (early_fork.py), or else a fresh interpreter (__main__.py)."""

from __future__ import annotations

import socket
from collections.abc import Callable

from cellhouse_agent.privileges import CAP_SETGID, CAP_SETPCAP, CAP_SETUID
from cellhouse_commands.spawner import serve
from cellhouse_kernel.capabilities import set_capabilities
from cellhouse_kernel.early_fork import CONTROL, Forked, fork_early, ignore_interrupts

# These let a process become the kernel's user, without any capability. Unlike the agent, the spawner signals nobody.
KEPT_CAPABILITIES = (CAP_SETGID, CAP_SETUID, CAP_SETPCAP)


def fork_spawner(before: Callable[[], None] | None = None) -> Forked:
    """Fork the spawner, as `fork_early` does. `before` runs in it first."""

    def run() -> None:
        if before:
            before()
        run_spawner()

    return fork_early(run)


def run_spawner() -> None:
    """Make commands for the agent at CONTROL until it hangs up. Then the process ends."""
    ignore_interrupts()
    set_capabilities(KEPT_CAPABILITIES)
    serve(socket.socket(fileno=CONTROL))
