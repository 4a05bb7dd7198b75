"""The grace time of interrupted code in a kernel."""

from __future__ import annotations

from collections.abc import Callable

from cellhouse_agent.grace import Grace, Sight
from cellhouse_agent.kernel import Kernel
from cellhouse_agent.usage_sampler import UsageSampler


def grace_of(
    kernel: Kernel, sampler: UsageSampler, seconds: float, clock: Callable[[], float]
) -> Grace:
    """The grace time of this kernel. `sampler` measures it, with all that it has started."""

    def see() -> Sight:
        cpu = kernel.cpu()
        tree_seconds = sampler.cpu_ms() / 1000 / kernel.cpus
        return Sight(cpu.wants_cpu, cpu.used_seconds, tree_seconds)

    return Grace(seconds, see, clock)
