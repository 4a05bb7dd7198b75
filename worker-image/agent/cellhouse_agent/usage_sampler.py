"""What one execution used: measured on the processes of its kernel or command while it runs."""

from __future__ import annotations

from cellhouse_agent.sampling import TakeSnapshot
from cellhouse_agent.tree_meter import NOISE_MS, TreeMeter, TreeUse
from cellhouse_agent.trees import Trees

# Uncharged CPU time is ignored if it is less than this share of the execution's CPU time.
UNCHARGED_SHARE = 0.05


class PeakSampler:
    """Samples memory periodically after `watch`, until `unwatch`."""

    def __init__(self, meter: TreeMeter, trees: Trees) -> None:
        self._meter = meter
        self._trees = trees
        # The most memory in any sample so far.
        self.peak_bytes = 0

    def watch(self) -> None:
        """Begin to sample."""
        self._trees.sampling.add(self)

    def unwatch(self) -> None:
        """End it. May be called again."""
        self._trees.sampling.remove(self)

    def sample(self, take: TakeSnapshot) -> None:
        """See Sampler."""
        self.peak_bytes = max(self.peak_bytes, self._meter.sample_memory(take))


class UsageSampler(PeakSampler):
    """Also measures when it is made, and at `stop`. Make it when the code has been sent."""

    def __init__(self, meter: TreeMeter, trees: Trees) -> None:
        super().__init__(meter, trees)
        self._start = self._use()
        self._alone = trees.alone
        trees.execution_begins()

    def _use(self) -> TreeUse | None:
        use = self._meter.use()
        if use:
            self.peak_bytes = max(self.peak_bytes, use.memory_bytes)
        return use

    def was_out_of_memory(self, exit_code: int | None) -> bool:
        """Whether the kernel, which has ended, was killed because memory ran out. Call it only once."""
        return self._trees.oom.explains(exit_code)

    def cpu_ms(self) -> float:
        """CPU milliseconds since the start, without uncharged ones; 0 if nobody knows."""
        now = self._use()
        return now.cpu_ms - self._start.cpu_ms if now and self._start else 0.0

    def stop(self, was_out_of_memory: bool) -> tuple[float | None, int | None]:
        """End sampling; returns CPU milliseconds and the highest memory seen in bytes, each None if nobody knows."""
        self.unwatch()
        start, end = self._start, self._use()
        if not start or not end:
            return None, None
        if was_out_of_memory:
            # It reached the limit between two samples.
            self.peak_bytes = max(self.peak_bytes, self._meter.peak_bytes)
        cpu_ms = end.cpu_ms - start.cpu_ms
        uncharged_ms = end.uncharged_ms - start.uncharged_ms
        if uncharged_ms > max(NOISE_MS, UNCHARGED_SHARE * cpu_ms):
            # Only this tree can have used that time, unless there was another tree.
            cpu_ms += uncharged_ms
            if self._alone is None or self._alone != self._trees.alone:
                return None, self.peak_bytes
        return round(cpu_ms, 3), self.peak_bytes
