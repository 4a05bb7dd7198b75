"""How the worker forks its own processes, each with a socket to the agent as standard input.

The agent forks some processes at its start (`fork_early`), before it has descriptors and secrets that they must not
have. That costs a millisecond, and shares the agent's memory. If such a process dies, a fresh interpreter replaces it.

Each kernel and each command has a reaper (reaper.py) of its own. A process that calls `fork_with_reaper` becomes a
reaper, and the child that it forks becomes the kernel or the command. Before the reaper does the work of reaper.py, it
sends the agent one of these packets, each a JSON object:

    {"made": {"pid": 12, "reaper": 11}}   the child exists
    {"failed": {"errno": 11}}             the child could not be made; the reaper ends
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from cellhouse_agent.privileges import AGENT_UID
from cellhouse_kernel import reaper
from cellhouse_kernel.privileges import PR_SET_CHILD_SUBREAPER, give_up_privileges, prctl

# The socket to the agent, as standard input. An executed process has it there, too.
CONTROL = 0
FIRST_OTHER_DESCRIPTOR = 3
# Isolated (-I) and without `site` (-S), whose import would take half of the reaper's memory.
INTERPRETER = "/usr/bin/python3"
FLAGS = ("-I", "-S")


class Forked(NamedTuple):
    """A forked process, and the agent's end of the socket to it."""

    pid: int
    control: socket.socket


def fork_early(run: Callable[[], None]) -> Forked:
    """Fork a process that calls `run` and ends. The agent must not have a thread, secret or descriptor yet.

    Raises OSError.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Otherwise the garbage collector would write to every page that agent and child share.
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _run_forked(theirs, run)
    theirs.close()
    return Forked(pid, control)


def _run_forked(control: socket.socket, run: Callable[[], None]) -> NoReturn:
    """Never return to the agent's code, whatever happens."""
    try:
        _keep_only(control.detach())
        os.setsid()
        os.environ.clear()
        run()
    finally:
        os._exit(1)


def ignore_interrupts() -> None:
    """Ctrl-C in a terminal is for the agent. It closes the socket then, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def fork_with_reaper(control: int, is_quick: bool = False) -> None:
    """Fork. It returns in the child only: the calling process becomes the child's reaper, and never returns.

    `control` is the reaper's end of its socket to the agent. The caller must have a single thread. A quick reaper keeps
    this process's memory, which takes no time. Any other reaper executes a small program.
    """
    pid, problem = -1, 0
    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        pid = os.fork()
    except OSError as error:
        problem = error.errno or 0
    if pid != 0:
        _become_reaper(control, pid, problem, is_quick)


def _become_reaper(control: int, pid: int, problem: int, is_quick: bool) -> NoReturn:
    """Never return to the caller's code, whatever happens."""
    try:
        _ignore_signals()
        _keep_only(control)
        if pid < 0:
            reaper.say(f'{{"failed": {{"errno": {problem}}}}}')
            os._exit(1)
        reaper.say(f'{{"made": {{"pid": {pid}, "reaper": {os.getpid()}}}}}')
        give_up_privileges(AGENT_UID)
        if is_quick:
            reaper.reap(pid)
            os._exit(0)
        try:
            os.execve(INTERPRETER, [INTERPRETER, *FLAGS, reaper.__file__, str(pid)], {})
        except OSError:
            # Memory is short. This process does the same work, with the memory that it has.
            reaper.reap(pid)
        os._exit(0)
    finally:
        os._exit(1)


def _keep_only(control: int) -> None:
    """Keep no descriptor but the socket to the agent. Standard output and error lead nowhere."""
    os.dup2(control, CONTROL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.closerange(FIRST_OTHER_DESCRIPTOR, os.sysconf("SC_OPEN_MAX"))


def _ignore_signals() -> None:
    """Undo the caller's signal handling, and ignore the signals that would end the reaper: it must end last."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
