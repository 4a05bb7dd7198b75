"""Samples what runs, periodically. Linux' own peaks cover the whole life of a process, not one execution."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from cellhouse_agent.oom_ledger import OomLedger
from cellhouse_agent.snapshot import Snapshot, take_snapshot
from cellhouse_agent.usage import Usage

# The time between two samples.
SAMPLE_SECONDS = 0.05
# The pause after samples is at least this many times their CPU time: it takes long to look at many processes.
SAMPLE_PAUSE_SHARE = 50

# Returns the same snapshot at each call.
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
            # On a busy machine, more time passes by the clock. Under gVisor, CPU time comes in steps of 10 ms.
            took = min(self._loop.time() - began, time.thread_time() - used)
            pause = SAMPLE_PAUSE_SHARE * took
            self._timer = self._loop.call_later(max(SAMPLE_SECONDS, pause), self._sample)
