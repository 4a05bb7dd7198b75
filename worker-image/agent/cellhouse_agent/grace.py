"""How long a kernel may still go on: counted is the time that it could use, not the time that goes by.

Beside busy neighbours a kernel may get no CPU for longer than its whole grace. Code that would have ended must not lose
its variables for that. So the agent looks again and again at what the kernel does:

    it sleeps         all time since the last look counts: it could have ended, and did something else
    it wants a CPU    the time counts in which it had one, or in which its container used all that it may: what a
                      kernel's own children take from it is its own doing

Code can make its kernel wait for a CPU, by a low priority for example. So even a wait for CPUs comes to an end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cellhouse_agent.kernel import Kernel
from cellhouse_agent.usage_sampler import UsageSampler

# Linux gives a container its limit of the CPUs anew every 100 ms. Between two looks that are closer, a container which
# has just used up its limit would seem to get no CPU.
LOOK_SECONDS = 0.1
# How long a look may take to come, in LOOK_SECONDS. The agent sleeps meanwhile, so if it takes longer, the agent had to
# wait for a CPU itself. Under gVisor nothing else tells: there a kernel seems to run while its sandbox waits for the
# host. A look that takes twice as long counts as half of what it may take, one that takes three times as a third.
PUNCTUAL_SHARE = 1.2
# So many times the grace is the end of it, whatever the kernel waits for. One that gets a tenth of a CPU still has its
# whole grace; a session that gets less is of no use to anybody.
MAX_STRETCH = 10
# Of a look that is even later so much counts towards that: agent and kernel were stopped, or the whole machine was.
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
    """So many seconds from now on."""

    def __init__(
        self, seconds: float, see: Callable[[], Sight], clock: Callable[[], float]
    ) -> None:
        self._seconds = seconds
        # Half of a short grace, for something may be due then.
        self._step = min(LOOK_SECONDS, seconds / 2)
        self._see = see
        self._clock = clock
        self._looked_at = clock()
        self._seen = see()
        self._used = 0.0
        self._passed = 0.0

    def is_over(self, share: float = 1.0) -> bool:
        """Whether the kernel has had this share of it."""
        seconds = share * self._seconds
        return self._used >= seconds or self._passed >= MAX_STRETCH * seconds

    def look(self) -> float:
        """Count the time since the last look, if it is time to; returns when to look again."""
        now = self._clock()
        if now >= self._looked_at + self._step and not self.is_over():
            elapsed = now - self._looked_at
            self._used += self._usable(elapsed)
            self._passed += min(elapsed, MAX_PAUSE_SECONDS)
            self._looked_at = now
        # When it is over, what the kernel has said by now is read first.
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
