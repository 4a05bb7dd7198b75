"""The process trees of a worker, those of its kernels and those of its commands, and the samples of their use.

Linux's own peaks cover the whole life of a process, not one execution. So running trees are sampled periodically.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from cellhouse_agent.processes.table import TICKS_PER_SECOND, ProcessEntry, all_processes
from cellhouse_agent.usage.container import OomLedger, Usage


class Trees:
    """Counts the trees, and holds the parts that they share. `usage` is that of the container."""

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        self.oom = OomLedger(usage)
        self.sampling = Sampling(self.oom, usage)
        self._living = 0
        self._begun = 0

    @property
    def alone(self) -> int | None:
        """A number that stays the same as long as one tree is the only one; None while there are others."""
        return self._begun if self._living == 1 else None

    def execution_begins(self) -> None:
        """Code begins. OOM kills so far did not hit it, so they are forgotten.

        They are kept if other code is being sampled, because one of them may still explain the end of that code.
        """
        if self.sampling.is_idle:
            self.oom.forget()
        else:
            self.oom.look()

    def begin(self) -> None:
        """A tree begins."""
        self._living += 1
        self._begun += 1

    def end(self) -> None:
        """A tree has ended."""
        self._living -= 1


# The time between two samples.
SAMPLE_SECONDS = 0.05
# The pause after samples is at least this many times their CPU time: it takes long to look at many processes.
SAMPLE_PAUSE_SHARE = 50

# Takes a snapshot at the first call, and returns the same one at later calls. Each round of samples has its own.
type TakeSnapshot = Callable[[], Snapshot]


class Sampler(Protocol):
    """Takes the samples of one execution."""

    def sample(self, take: TakeSnapshot) -> None:
        """Take a sample."""


class Sampling:
    """Takes the samples of all samplers together, so that one look at all processes is enough."""

    def __init__(self, oom: OomLedger, usage: Usage) -> None:
        self._oom = oom
        self._usage = usage
        self._loop = asyncio.get_running_loop()
        self._samplers: set[Sampler] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is sampled."""
        return not self._samplers

    def add(self, sampler: Sampler) -> None:
        """Take samples for this sampler from now on, until `remove`. May be called again."""
        self._samplers.add(sampler)
        if not self._timer:
            self._sample()

    def remove(self, sampler: Sampler) -> None:
        """Take no more samples for this sampler. May be called again."""
        self._samplers.discard(sampler)
        if self._timer and not self._samplers:
            self._timer.cancel()
            self._timer = None

    def _sample(self) -> None:
        began, used = self._loop.time(), time.thread_time()
        snapshots: list[Snapshot] = []

        def take() -> Snapshot:
            if not snapshots:
                snapshots.append(take_snapshot(self._usage))
            return snapshots[0]

        try:
            for sampler in self._samplers:
                sampler.sample(take)
            self._oom.look()
        finally:
            # The smaller of two measures: on a busy machine, the clock includes time of other processes. Under gVisor,
            # CPU time comes in steps of 10 ms.
            took = min(self._loop.time() - began, time.thread_time() - used)
            pause = SAMPLE_PAUSE_SHARE * took
            self._timer = self._loop.call_later(max(SAMPLE_SECONDS, pause), self._sample)


TICK_MS = 1000 / TICKS_PER_SECOND
# <linux/posix-timers.h>: the clock of all threads of a process.
PROCESS_CLOCK = 2


class Snapshot(NamedTuple):
    """The use of all processes of the container, at about the same moment. CPU times are in milliseconds.

    A process that began or ended meanwhile may be missing, or count twice.
    """

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
