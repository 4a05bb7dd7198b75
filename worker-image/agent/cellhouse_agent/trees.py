"""The process trees of a worker: those of its kernels, and those of its commands."""

from __future__ import annotations

from cellhouse_agent.oom_ledger import OomLedger
from cellhouse_agent.sampling import Sampling
from cellhouse_agent.usage import Usage


class Trees:
    """Counts the trees, and holds what they share. `usage` is that of the container."""

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
        """Code begins. OOM kills so far did not hit it. If nothing is sampled, they are forgotten."""
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
