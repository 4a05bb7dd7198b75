"""Counts how much of its grace time a kernel has used: only time in which the kernel could run counts.

executions/supervision.py uses this for a kernel that must begin or end code, and tree.py for processes that are
killed.

Beside busy neighbours a kernel may get no CPU for longer than its whole grace time. Code that would have ended in
time must not lose its variables because of that. So the agent looks at the kernel periodically. If at a look the kernel

    sleeps         all time since the last look counts: the kernel could have ended, and did something else
    wants a CPU    the time counts in which the kernel ran, or in which it and all that it has started used the whole
                   CPU limit. CPU time that its own children take from the kernel counts, because the code started
                   them. CPU time that another context uses does not count

Code can make its own kernel wait for a CPU, for example by a low priority. So MAX_STRETCH limits even that wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# Linux renews the CPU quota of a container every 100 ms. With shorter steps, a container that has just used up its
# quota would seem to get no CPU.
LOOK_SECONDS = 0.1
# The longest punctual interval between two looks, in steps. The agent sleeps in between, so a longer interval means
# that the agent itself had to wait for a CPU. Under gVisor that is the only sign: there a kernel seems to run while its
# sandbox waits for the host. At most this much of an interval counts. If the kernel wants a CPU, an interval
# twice as long counts for only half of this limit, and an interval three times as long for only a third.
PUNCTUAL_SHARE = 1.2
# The grace time ends after this many times its length, whatever the kernel waits for. A kernel that gets a tenth of a
# CPU still has its whole grace time; a session that gets less is of no use to anybody.
MAX_STRETCH = 10
# At most this much of one interval counts towards MAX_STRETCH. If an interval is longer, agent and kernel were stopped
# meanwhile, or the whole machine was.
MAX_PAUSE_SECONDS = 1.0


class Sight(NamedTuple):
    """What a look at a kernel shows."""

    # A thread of it runs or waits for a CPU.
    wants_cpu: bool
    # CPU time that it has had.
    kernel_seconds: float
    # CPU time that it and all that it has started have had, divided by the number of CPUs that they may use.
    tree_seconds: float


class Grace:
    """A grace time of `seconds`, from now on. Only time in which the kernel can run counts."""

    def __init__(
        self, seconds: float, see: Callable[[], Sight], clock: Callable[[], float]
    ) -> None:
        self._seconds = seconds
        # At most half of the grace time: the second interrupt is due then (executions/supervision.py).
        self._step = min(LOOK_SECONDS, seconds / 2)
        self._see = see
        self._clock = clock
        self._looked_at = clock()
        self._seen = see()
        self._used = 0.0
        self._passed = 0.0

    def is_over(self, share: float = 1.0) -> bool:
        """Whether the kernel has used up this share of its grace time."""
        seconds = share * self._seconds
        return self._used >= seconds or self._passed >= MAX_STRETCH * seconds

    def look(self) -> float:
        """Count the time since the last look, if a step has passed; returns when to look again."""
        now = self._clock()
        if now >= self._looked_at + self._step and not self.is_over():
            elapsed = now - self._looked_at
            self._used += self._usable(elapsed)
            self._passed += min(elapsed, MAX_PAUSE_SECONDS)
            self._looked_at = now
        # Once the grace time is over, the caller looks again immediately, but first reads the messages that have
        # already arrived. So it does not miss that a kernel has ended in time.
        return now if self.is_over() else self._looked_at + self._step

    def _usable(self, elapsed: float) -> float:
        """How much of the time since the last look the kernel could use."""
        before, self._seen = self._seen, self._see()
        in_time = PUNCTUAL_SHARE * self._step
        if not self._seen.wants_cpu:
            return min(elapsed, in_time)
        ran = self._seen.kernel_seconds - before.kernel_seconds
        tree_ran = self._seen.tree_seconds - before.tree_seconds
        return min(elapsed, max(ran, tree_ran), in_time * in_time / elapsed)
