"""Counts how much of its grace a kernel has used: the time in which it could run, not the time that passes.

Beside busy neighbours a kernel may get no CPU for longer than its whole grace. Code that would have ended in
time must not lose its variables because of that. So the agent looks at the kernel periodically, and counts:

    it sleeps         all time since the last look: it could have ended, and did something else
    it wants a CPU    the time in which it ran, or in which its container used its whole CPU limit: what a kernel's own
                      children take from it is its own doing

Code can make its own kernel wait for a CPU, for example by a low priority. So MAX_STRETCH limits even that wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cellhouse_agent.kernel import Kernel
from cellhouse_agent.usage_sampler import UsageSampler

# Linux renews the CPU quota of a container every 100 ms. With shorter steps, a container that has just used up its
# quota would seem to get no CPU.
LOOK_SECONDS = 0.1
# The longest punctual interval between two looks, in steps. The agent sleeps in between, so a longer interval means
# that the agent itself had to wait for a CPU. Under gVisor that is the only sign: there a kernel seems to run while its
# sandbox waits for the host. Of an interval twice this long, half of this counts; of one three times as long, a third.
PUNCTUAL_SHARE = 1.2
# The grace ends after this many times its length, whatever the kernel waits for. A kernel that gets a tenth of a CPU
# still has its whole grace; a session that gets less is of no use to anybody.
MAX_STRETCH = 10
# At most this much of one interval counts towards MAX_STRETCH: in a longer one, agent and kernel were stopped, or the
# whole machine was.
MAX_PAUSE_SECONDS = 1.0


class Sight(NamedTuple):
    """What a look at a kernel shows."""

    # A thread of it runs or waits for a CPU.
    wants_cpu: bool
    # CPU time that it has had.
    kernel_seconds: float
    # CPU time that all processes of its container have had, divided by the number of CPUs that they may use.
    container_seconds: float


class Grace:
    """A grace of `seconds`, from now on, that the kernel can use."""

    def __init__(
        self, seconds: float, see: Callable[[], Sight], clock: Callable[[], float]
    ) -> None:
        self._seconds = seconds
        # At most half of the grace: the second interrupt is due then (supervision.py).
        self._step = min(LOOK_SECONDS, seconds / 2)
        self._see = see
        self._clock = clock
        self._looked_at = clock()
        self._seen = see()
        self._used = 0.0
        self._passed = 0.0

    def is_over(self, share: float = 1.0) -> bool:
        """Whether the kernel has used up this share of its grace."""
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
        # Once it is over, look again at once: only what the kernel has already said is read before that.
        return now if self.is_over() else self._looked_at + self._step

    def _usable(self, elapsed: float) -> float:
        """How much of the time since the last look the kernel could use."""
        before, self._seen = self._seen, self._see()
        in_time = PUNCTUAL_SHARE * self._step
        if not self._seen.wants_cpu:
            return min(elapsed, in_time)
        ran = self._seen.kernel_seconds - before.kernel_seconds
        container_ran = self._seen.container_seconds - before.container_seconds
        return min(elapsed, max(ran, container_ran), in_time * in_time / elapsed)


def grace_of(
    kernel: Kernel, sampler: UsageSampler, seconds: float, clock: Callable[[], float]
) -> Grace:
    """The grace of this kernel, whose container `sampler` looks at."""

    def see() -> Sight:
        cpu = kernel.cpu()
        container_seconds = sampler.cpu_ms() / 1000 / kernel.cpus
        return Sight(cpu.wants_cpu, cpu.used_seconds, container_seconds)

    return Grace(seconds, see, clock)
