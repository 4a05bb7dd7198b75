"""What one execution used, read from the container's counters while it runs."""

from __future__ import annotations

import asyncio

from cellhouse_agent.usage import Usage

# The time between two samples of memory while code runs. The counters' own peaks cover the container's whole life, not
# one execution.
SAMPLE_SECONDS = 0.05


class UsageSampler:
    """Samples when it is made, periodically after `watch`, and at `stop`. Make it when the code has been sent."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._loop = asyncio.get_running_loop()
        self._start_cpu_ms = usage.cpu_ms()
        self._start_oom_kills = usage.oom_kills()
        self._peak_bytes = usage.memory_bytes()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Begin to sample periodically."""
        if self._timer is None:
            self._sample()

    def _sample(self) -> None:
        self._peak_bytes = max(self._peak_bytes, self._usage.memory_bytes())
        self._timer = self._loop.call_later(SAMPLE_SECONDS, self._sample)

    @property
    def has_oom_kill(self) -> bool:
        """Whether a process of this container was killed since the start because memory ran out."""
        return self._usage.oom_kills() > self._start_oom_kills

    def cpu_ms(self) -> float:
        """CPU milliseconds since the start."""
        return self._usage.cpu_ms() - self._start_cpu_ms

    def stop(self) -> tuple[float, int]:
        """End sampling; returns CPU milliseconds and the highest memory seen in bytes."""
        if self._timer:
            self._timer.cancel()
        self._peak_bytes = max(self._peak_bytes, self._usage.memory_bytes())
        if self.has_oom_kill:
            # There was a kill, so the limit was reached between two samples.
            self._peak_bytes = max(self._peak_bytes, self._usage.memory_limit_bytes() or 0)
        return round(self.cpu_ms(), 3), self._peak_bytes
