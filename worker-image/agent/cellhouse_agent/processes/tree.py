"""Ends all processes below a reaper, and no other.

A look at all processes is a moment late: a process whose parent has just ended is below the reaper only at the next
look. So first every process that is found is stopped, until a look finds no new process. A stopped process makes no
further processes, but still counts in the container's limit of processes. Then all are killed, again and again until
the reaper says that nothing is left. Nothing else proves the end: a process that seems to wait to be reaped may have
threads that still run, if only its main thread has ended.

A killed process needs a CPU to end, and its code may have lowered its priority while other trees keep all CPUs busy. So
only time in which no killed process waits for a CPU counts towards the deadline. After it, the worker is given up.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from cellhouse_agent.processes.grace import Grace, Sight
from cellhouse_agent.processes.table import all_processes, below, send_signal, wants_cpu

# A fork bomb makes new processes while the old ones are being stopped. With a pids limit on the container, a few passes
# find them all.
MAX_STOP_PASSES = 20
# How long killed processes may take to vanish (Linux frees their memory first) before the worker is given up. They have
# MAX_STRETCH (grace.py) times as long while they wait for a CPU.
KILL_DEADLINE_SECONDS = 10.0
KILL_POLL_SECONDS = 0.002
# The pause before the next look is at least this many times the duration of a look.
KILL_POLL_SHARE = 3

# Finds processes: their ids and starts.
FindProcesses = Callable[[], dict[int, int]]


class UnkillableProcesses(Exception):
    """Processes survived SIGKILL for KILL_DEADLINE_SECONDS in which they could have ended."""


def look_below(reaper: int, start: int) -> dict[int, int]:
    """All processes below a reaper; none if it has ended itself."""
    table = all_processes()
    entry = table.get(reaper)
    return below(reaper, table) if entry and entry.start == start else {}


def kill_tree(reaper: int, start: int) -> None:
    """Stop and kill all processes below a reaper. `end_processes` waits until they are gone."""
    kill_processes(lambda: look_below(reaper, start))


def kill_processes(find: FindProcesses) -> None:
    """Stop and kill all processes that `find` finds."""
    stopped: set[tuple[int, int]] = set()
    for _ in range(MAX_STOP_PASSES):
        fresh = set(find().items()) - stopped
        if not fresh:
            break
        for pid, start in fresh:
            send_signal(pid, start, signal.SIGSTOP)
        stopped |= fresh
    _kill({**dict(stopped), **find()} if stopped else {})


async def end_processes(
    find: FindProcesses, has_ended: Callable[[], bool], wait: Callable[[float], Awaitable[object]]
) -> None:
    """Kill the processes that `find` finds until `has_ended`; `wait` sleeps, and may return when there is news.

    Raises UnkillableProcesses.
    """
    clock = asyncio.get_running_loop().time
    kill_processes(find)
    looked = clock()
    grace = Grace(KILL_DEADLINE_SECONDS, lambda: Sight(_want_cpu(find()), 0.0, 0.0), clock)
    while not has_ended():
        if grace.is_over():
            raise UnkillableProcesses(f"{len(find())} processes survived SIGKILL")
        # Looking at many processes takes a while, and they need the CPU to end.
        await wait(max(KILL_POLL_SECONDS, KILL_POLL_SHARE * (clock() - looked)))
        looked = clock()
        if not has_ended():
            _kill(find())
            grace.look()


def _want_cpu(processes: Iterable[int]) -> bool:
    for pid in processes:
        # It may just have ended.
        with suppress(OSError):
            if wants_cpu(pid):
                return True
    return False


def _kill(processes: dict[int, int]) -> None:
    for pid, start in processes.items():
        send_signal(pid, start, signal.SIGKILL)
