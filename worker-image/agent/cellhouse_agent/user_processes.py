"""Finds what runs as the kernel's user, and ends strays: what is left of a tree whose reaper is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from cellhouse_agent.privileges import AGENT_UID
from cellhouse_agent.process_table import all_processes, below
from cellhouse_agent.process_tree import end_processes, kill_processes
from cellhouse_kernel.identity import KERNEL_UID

# A process whose reaper is lost becomes a child of init.
INIT = 1
# Zombie, dead.
ENDED_STATES = ("Z", "X")


def user_processes(uid: int = KERNEL_UID) -> Iterator[int]:
    """Every process that runs as this user, those that wait to be reaped left out."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _runs_as(int(entry), uid):
            yield int(entry)


def _runs_as(pid: int, uid: int) -> bool:
    """Whether a process of this user has threads that run.

    Reading the owner of /proc/<pid> would be simpler, but a process can change that owner to root (PR_SET_DUMPABLE).
    """
    status = {}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name in ("State", "Uid", "Threads"):
                    status[name] = value.split()
    except OSError:
        # It ended between the listing and the look.
        return False
    # Real, effective, saved and file-system uid. The helper of files has the user's rights on files only: the user
    # cannot touch it, and it must live.
    uids = {int(word) for word in status.get("Uid", [])}
    # If only the main thread has ended, the state is that of an ended process.
    state, threads = status.get("State", ["X"])[0], status.get("Threads", ["1"])
    has_ended = state in ENDED_STATES and threads == ["1"]
    return uid in uids and AGENT_UID not in uids and not has_ended


def kill_strays() -> None:
    """Kill the user's processes that are below no reaper, now."""
    kill_processes(_strays)


async def end_strays() -> None:
    """Kill the user's processes that are below no reaper, and return when none is found.

    Raises UnkillableProcesses. Nothing proves that there are none, since nobody waits for them but init.
    """
    await end_processes(_strays, lambda: not _strays(), asyncio.sleep)


def _strays() -> dict[int, int]:
    """The ids and starts of the user's processes that have only init and each other above them.

    A process whose parent ends during the look seems to be below nobody, so it is not taken for one.
    """
    table = all_processes()
    return below(INIT, {pid: table[pid] for pid in table if _runs_as(pid, KERNEL_UID)})
