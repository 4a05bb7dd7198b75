"""The spawner of commands: makes a process for each packet of the agent, which comes over a SOCK_SEQPACKET socket.

A packet brings two descriptors: the socket over which the process gets its order (command.py), and its reaper's socket
to the agent. The packet's bytes are ignored. The spawner forks the reaper, and the reaper forks the process. The
spawner never answers: the agent learns from the reaper's socket what has become of reaper and process. If the spawner
dies before it has taken the packet, that socket closes without a packet.

The spawner is an early fork of the agent (cellhouse_kernel/forking.py), or else a fresh interpreter (__main__.py). It
keeps the agent's user, and the capabilities that a process needs to become the kernel's user. It has one thread, and no
memory of any command.
"""

from __future__ import annotations

import errno
import os

# os.wait4 needs it. Imported here, it is in the memory that all reapers share.
import resource  # noqa: F401
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, NoReturn

from cellhouse_agent.privileges import CAP_SETGID, CAP_SETPCAP, CAP_SETUID
from cellhouse_commands.command import become_command
from cellhouse_kernel.forking import (
    CONTROL,
    Forked,
    fork_early,
    fork_with_reaper,
    ignore_interrupts,
)
from cellhouse_kernel.privileges import set_capabilities

# A process needs these to become the kernel's user and to give up every capability. Unlike the agent, the spawner
# signals nobody, so it does not need CAP_KILL.
KEPT_CAPABILITIES = (CAP_SETGID, CAP_SETUID, CAP_SETPCAP)
MAX_PACKET_BYTES = 16


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


class Descriptors(NamedTuple):
    """The descriptors that come with a packet."""

    orders: int
    control: int


def serve(control: socket.socket) -> NoReturn:
    """Make processes until the agent hangs up."""
    signal.signal(signal.SIGCHLD, _reap)
    # An interrupt that reaches a command's process before its order stays pending until the order has come.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    while True:
        try:
            packet, descriptors, *_ = socket.recv_fds(
                control, MAX_PACKET_BYTES, len(Descriptors._fields)
            )
        except ConnectionResetError:
            packet = b""
        if not packet:
            os._exit(0)
        # If fewer have come, this process has no free descriptor. Then the reaper's socket closes without a packet,
        # which tells the agent.
        if len(descriptors) == len(Descriptors._fields):
            _make(Descriptors(*descriptors))
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(_number: int, _frame: object) -> None:
    """Reap the reapers that have ended. So Linux charges this process for the CPU time of their commands."""
    # Without any child, there is nothing to do.
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _make(given: Descriptors) -> None:
    """Fork a reaper, which forks the process. If that fails, tell the agent."""
    try:
        pid = os.fork()
    except OSError as error:
        _say(given.control, error.errno or errno.EAGAIN)
        return
    if pid == 0:
        _run_forked(given)


def _say(control: int, number: int) -> None:
    """Tell the agent, in place of the reaper, that the reaper could not be made."""
    # If the agent is gone, `serve` finds that out.
    with suppress(OSError):
        os.write(control, f'{{"failed": {{"errno": {number}}}}}'.encode())


def _run_forked(given: Descriptors) -> NoReturn:
    """Never return to the loop, whatever happens."""
    try:
        # Done before the reaper forks the process, since the reaper must see the end of the process.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        fork_with_reaper(given.control, is_quick=True)
        become_command(given.orders)
    finally:
        os._exit(1)
