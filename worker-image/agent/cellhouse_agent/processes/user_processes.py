"""Finds the processes of the kernel's user, and ends strays: the processes of a tree whose reaper is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import NamedTuple

from cellhouse_agent.privileges import AGENT_UID
from cellhouse_agent.processes.table import ProcessEntry, all_processes
from cellhouse_agent.processes.tree import end_processes, kill_processes
from cellhouse_kernel.privileges import KERNEL_UID

# A process whose reaper is lost becomes a child of init.
INIT = 1
# The parent's id of a process that an operator runs in the container (`docker exec`).
OUTSIDE = 0
# Zombie, dead.
ENDED_STATES = ("Z", "X")


def user_processes(uid: int = KERNEL_UID) -> Iterator[int]:
    """Every process that runs as this user, except those that wait to be reaped."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _runs_as(int(entry), uid):
            yield int(entry)


def _runs_as(pid: int, uid: int) -> bool:
    """Whether this process runs as this user, and has not ended."""
    status = _status(pid)
    # Real, effective, saved and file-system uid. The helper of files has the user's rights on files only: the user
    # cannot touch it, and it must live.
    return status.runs and uid in status.uids and AGENT_UID not in status.uids


class _Status(NamedTuple):
    uids: frozenset[int]
    runs: bool


def _status(pid: int) -> _Status:
    """Read /proc/<pid>/status. The owner of /proc/<pid> is no proof: a process can make it root (PR_SET_DUMPABLE)."""
    status = {}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name in ("State", "Uid", "Threads"):
                    status[name] = value.split()
    except OSError:
        # It ended between the listing and the look.
        return _Status(frozenset(), False)
    # If only the main thread has ended, the state is that of an ended process.
    state, threads = status.get("State", ["X"])[0], status.get("Threads", ["1"])
    has_ended = state in ENDED_STATES and threads == ["1"]
    return _Status(frozenset(int(word) for word in status.get("Uid", [])), not has_ended)


def kill_strays(reaper: int, start: int) -> None:
    """Kill now the processes of the user that are below no living reaper. `reaper` is the id of the lost one."""
    kill_processes(lambda: _find_strays(reaper, start).strays)


async def end_strays(reaper: int, start: int) -> None:
    """Like `kill_strays`, but return when all processes of the user are below other reapers.

    Nothing else proves the end, since only init waits for strays. Raises UnkillableProcesses.
    """

    def has_ended() -> bool:
        found = _find_strays(reaper, start)
        return not found.strays and not found.is_vague

    await end_processes(lambda: _find_strays(reaper, start).strays, has_ended, asyncio.sleep)


class _Strays(NamedTuple):
    """What one look at all processes of the user shows."""

    # The processes that have only each other, init and the lost reaper above them, with their starts.
    strays: dict[int, int]
    # Whether the parents of some processes are unknown, because one of them has ended during the look.
    is_vague: bool


def _find_strays(reaper: int, start: int) -> _Strays:
    """Look for strays.

    A reaper hangs up a moment before it ends. Its processes are below it until it ends, and below init afterwards. So
    both places count.
    """
    table = all_processes()
    entry = table.get(reaper)
    # Its process id may have been given to another process since.
    is_same = reaper > 0 and (entry is None or entry.start == start)
    above = {INIT, reaper} if is_same else {INIT}
    users = {pid for pid in table if _runs_as(pid, KERNEL_UID)}
    strays: dict[int, int] = {}
    is_vague = False
    for pid in users:
        first = _first_above(pid, users, table)
        if first in above:
            strays[pid] = table[pid].start
        elif first != OUTSIDE and not _status(first).runs:
            is_vague = True
    return _Strays(strays, is_vague)


def _first_above(pid: int, users: set[int], table: dict[int, ProcessEntry]) -> int:
    """The nearest process above it that is not the user's; an arbitrary one if `table` is inconsistent."""
    for _ in users:
        pid = table[pid].parent
        if pid not in users:
            break
    return pid
