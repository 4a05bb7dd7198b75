"""Bounds one look at the home, whatever code has put there."""

from __future__ import annotations

import time

MAX_ENTRIES = 10_000
# Looking at the clock costs as much as looking at a file, so it is done only once for this many entries.
ENTRIES_PER_LOOK_AT_CLOCK = 32


class TooMuch(Exception):
    """The look would take more than it may. `reason` is that of docs/internals/worker-protocol.md."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """An amount of CPU time that this thread may spend from now on.

    gVisor counts CPU time in steps of 10 ms, each of which goes to the thread that happens to run. So the budget is
    used up only when the same amount of time has also passed by the clock.
    """

    def __init__(self, cpu_ms: float) -> None:
        seconds = cpu_ms / 1_000
        self._cpu_until = time.thread_time() + seconds
        self._until = time.monotonic() + seconds
        self._count = 0

    def spend(self) -> None:
        """Count one entry or event; raises TooMuch."""
        self._count += 1
        if self._count % ENTRIES_PER_LOOK_AT_CLOCK == 0 and self._is_over():
            raise TooMuch("too_slow")

    def _is_over(self) -> bool:
        return time.monotonic() > self._until and time.thread_time() > self._cpu_until
