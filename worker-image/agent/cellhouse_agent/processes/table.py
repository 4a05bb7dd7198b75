"""Looks at the container's processes, and sends them signals. It reads /proc/<pid>/stat, which any user may read."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

# Fields of the file, counted from the one after the name, which may itself hold spaces and brackets.
STATE_FIELD = 0
PARENT_FIELD = 1
USER_TIME_FIELD = 11
SYSTEM_TIME_FIELD = 12
CHILDREN_USER_TIME_FIELD = 13
CHILDREN_SYSTEM_TIME_FIELD = 14
START_TIME_FIELD = 19
RESIDENT_PAGES_FIELD = 21
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ProcessEntry(NamedTuple):
    """What one look at a process shows."""

    parent: int
    # In clock ticks since boot. No two processes ever have the same id and the same start.
    start: int
    # The CPU time of all its threads, in clock ticks.
    own_ticks: int = 0
    # The CPU time of the children that it has waited for, in clock ticks. This includes the time of those descendants
    # that the children had waited for.
    children_ticks: int = 0
    # This includes memory that it shares with others.
    resident_pages: int = 0


def stat_fields(process: str) -> list[str]:
    """The fields of a process or, as `<pid>/task/<tid>`, of a thread. Raises OSError when it is gone."""
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def start_of(pid: int) -> int | None:
    """When the process with this id started; None if there is none. A process that waits to be reaped still counts."""
    try:
        return int(stat_fields(str(pid))[START_TIME_FIELD])
    except OSError:
        return None


def wants_cpu(pid: int) -> bool:
    """Whether a thread of this process runs, or waits for a CPU, at this moment. Raises OSError when it is gone."""
    # The main thread may sleep, or have ended, while another waits for a CPU.
    threads = os.listdir(f"/proc/{pid}/task")
    return any(stat_fields(f"{pid}/task/{thread}")[STATE_FIELD] == "R" for thread in threads)


def all_processes() -> dict[int, ProcessEntry]:
    """All processes by their ids, including those that wait to be reaped.

    They are not seen at the same moment, so a process whose parent ends meanwhile may seem to have none.
    """
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = stat_fields(name)
            except OSError:
                # It ended between the listing and the look.
                continue
            found[int(name)] = entry_of(fields)
    return found


def entry_of(fields: list[str]) -> ProcessEntry:
    """A process's entry from its `stat_fields`."""
    return ProcessEntry(
        int(fields[PARENT_FIELD]),
        int(fields[START_TIME_FIELD]),
        int(fields[USER_TIME_FIELD]) + int(fields[SYSTEM_TIME_FIELD]),
        int(fields[CHILDREN_USER_TIME_FIELD]) + int(fields[CHILDREN_SYSTEM_TIME_FIELD]),
        int(fields[RESIDENT_PAGES_FIELD]),
    )


def below(root: int, table: dict[int, ProcessEntry]) -> dict[int, int]:
    """All descendants of a process, without itself: their ids and starts."""
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    found: dict[int, int] = {}
    waiting = [root]
    while waiting:
        for pid in children.pop(waiting.pop(), []):
            found[pid] = table[pid].start
            waiting.append(pid)
    return found


def send_signal(pid: int, start: int, number: signal.Signals) -> None:
    """Send a signal to the process with this id and start, unless it has been reaped.

    The signal never reaches another process that has got the id since.
    """
    handle = _open_handle(pid)
    try:
        # Checked after the handle was opened: if the process is still the same, the handle refers to it. Without a
        # handle, the signal goes to the id. No other process can get the id in so short a time, since ids are given
        # out one after another.
        if start_of(pid) != start:
            return
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        # The process has been reaped, so there is nothing to signal.
        return
    finally:
        if handle is not None:
            os.close(handle)


def _open_handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        # The system has no such handles (gVisor), or the process has ended.
        return None
