"""Ends everything that runs as the kernel's user: the kernel, its children, and all processes that they started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

from cellhouse_agent.privileges import AGENT_UID
from cellhouse_kernel.identity import KERNEL_UID

# A fork bomb makes new processes while the old ones are being stopped. Each pass stops all it finds; with a pids limit
# on the container a few passes find them all.
MAX_STOP_PASSES = 20
# How long killed processes may take to vanish (Linux frees their memory first) before the worker is given up.
KILL_DEADLINE_SECONDS = 10.0
# How long ended processes may take to be reaped. After that, the next kernel is started all the same.
REAP_DEADLINE_SECONDS = 1.0
KILL_POLL_SECONDS = 0.002
# The pause before the next look is at least this many times the duration of a look.
KILL_POLL_SHARE = 3
# Zombie, dead.
ENDED_STATES = ("Z", "X")


class UnkillableProcesses(Exception):
    """Processes of the kernel's user survived SIGKILL for KILL_DEADLINE_SECONDS."""


def _uids_and_end(pid: str) -> tuple[set[int], bool]:
    """Real, effective, saved and file-system uid, and whether it only waits to be reaped. Raises OSError if it is gone.

    Reading the owner of /proc/<pid> would be simpler, but a process can change that owner to root (PR_SET_DUMPABLE).
    A process whose main thread alone has ended has the state of a zombie, although its other threads run.
    """
    fields = {}
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in ("State", "Uid", "Threads"):
                fields[name] = value.split()
    has_ended = fields["State"][0] in ENDED_STATES and int(fields["Threads"][0]) <= 1
    return {int(uid) for uid in fields["Uid"]}, has_ended


def user_processes(uid: int = KERNEL_UID) -> Iterator[int]:
    """Every process that runs as this user, zombies left out."""
    for pid, has_ended in _processes(uid):
        if not has_ended:
            yield pid


def _processes(uid: int) -> Iterator[tuple[int, bool]]:
    """Every process of this user, and whether it only waits to be reaped."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            uids, has_ended = _uids_and_end(entry)
        except OSError:
            # It ended between the listing and the look.
            continue
        # The helper of files has the user's rights on files only: the user cannot touch it, and it must live.
        if uid in uids and AGENT_UID not in uids:
            yield int(entry), has_ended


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # It ended by itself, which is what was wanted.
        return


def kill_user_processes(uid: int = KERNEL_UID) -> None:
    """Stop and kill every process of this user. `user_processes_ended` waits until they are gone."""
    _stop_all(uid)
    for pid in user_processes(uid):
        _signal(pid, signal.SIGKILL)


async def user_processes_ended(uid: int = KERNEL_UID) -> None:
    """Kill the processes of this user, and return when none is left; raises UnkillableProcesses.

    An ended process counts against the container's process limit until init or its parent reaps it. Without the wait,
    the limit could refuse the next kernel.
    """
    kill_user_processes(uid)
    clock = asyncio.get_running_loop().time
    started = looked = clock()
    while remaining := dict(_processes(uid)):
        alive = [pid for pid, has_ended in remaining.items() if not has_ended]
        if not alive and looked > started + REAP_DEADLINE_SECONDS:
            break
        if looked > started + KILL_DEADLINE_SECONDS:
            raise UnkillableProcesses(f"{len(alive)} processes survived SIGKILL")
        for pid in alive:
            _signal(pid, signal.SIGKILL)
        # Looking at many processes takes a while, and they need the CPU to end.
        await asyncio.sleep(max(KILL_POLL_SECONDS, KILL_POLL_SHARE * (clock() - looked)))
        looked = clock()


def _stop_all(uid: int) -> None:
    """Stop every process of this user, so that none can make another."""
    stopped: set[int] = set()
    for _ in range(MAX_STOP_PASSES):
        fresh = set(user_processes(uid)) - stopped
        if not fresh:
            break
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        stopped |= fresh
