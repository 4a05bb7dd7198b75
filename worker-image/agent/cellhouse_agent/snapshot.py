"""What all processes of the container have used, at about the same moment."""

from __future__ import annotations

import time
from typing import NamedTuple

from cellhouse_agent.process_table import TICKS_PER_SECOND, ProcessEntry, all_processes
from cellhouse_agent.usage import Usage

TICK_MS = 1000 / TICKS_PER_SECOND
# <linux/posix-timers.h>: the clock of all threads of a process.
PROCESS_CLOCK = 2


class Snapshot(NamedTuple):
    """CPU times are in milliseconds. A process that began or ended meanwhile may be missing, or count twice."""

    table: dict[int, ProcessEntry]
    own_ms: dict[int, float]
    # This includes the CPU time of the children that a process has waited for.
    used_ms: dict[int, float]
    # CPU time that the container has used, but that no process was charged for.
    uncharged_ms: float


def take_snapshot(usage: Usage) -> Snapshot:
    """Look at all processes. `usage` is that of the container."""
    table = all_processes()
    container_ms = usage.cpu_ms()
    own_ms = {pid: _own_ms(pid, entry) for pid, entry in table.items()}
    used_ms = {pid: own_ms[pid] + table[pid].children_ticks * TICK_MS for pid in table}
    return Snapshot(table, own_ms, used_ms, container_ms - sum(used_ms.values()))


def clock_ms(pid: int) -> float:
    """CPU time of all threads of a process, to the nanosecond under Linux. Raises OSError when it is gone."""
    return time.clock_gettime((~pid << 3) | PROCESS_CLOCK) * 1000


def _own_ms(pid: int, entry: ProcessEntry) -> float:
    """Like `clock_ms`. If the process is gone by now, the time in its entry."""
    try:
        return clock_ms(pid)
    except OSError:
        return entry.own_ticks * TICK_MS
