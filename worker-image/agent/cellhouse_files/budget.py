"""Bounds one look at the home, whatever code has put there."""

from __future__ import annotations

import time

MAX_ENTRIES = 10_000
# Looking at the clock costs as much as looking at a file, so it is done for every so many entries.
ENTRIES_PER_LOOK_AT_CLOCK = 32


class TooMuch(Exception):
    """The look would take more than it may. `reason` is that of docs/worker-protocol.md."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """So much CPU time for this thread, from now on."""

    def __init__(self, cpu_ms: float) -> None:
        self._until = time.thread_time() + cpu_ms / 1_000
        self._count = 0

    def spend(self) -> None:
        """Count one entry or event; raises TooMuch."""
        self._count += 1
        if self._count % ENTRIES_PER_LOOK_AT_CLOCK == 0 and time.thread_time() > self._until:
            raise TooMuch("too_slow")
