"""Knows whether processes of earlier code still run when new code begins."""

from __future__ import annotations

from pathlib import Path

from cellhouse_agent.counter_file import CounterFile
from cellhouse_agent.usage import CGROUP_ROOT
from cellhouse_agent.user_processes import user_processes

# How many processes and threads the container has: version 1, which gVisor shows, too, and version 2.
COUNTS = (CGROUP_ROOT / "pids" / "pids.current", CGROUP_ROOT / "pids.current")


class OtherCode:
    """Looking at all processes takes a tenth of a millisecond, so it is left out while their number stays the same.

    A process that appears just when a thread of a library ends is missed, until their number changes again.
    """

    def __init__(self, counts: tuple[Path, ...] = COUNTS) -> None:
        present = [path for path in counts if path.exists()]
        self._count = CounterFile(present[0]) if present else None
        self._quiet: tuple[frozenset[int | None], str] | None = None

    def runs_beside(self, kernels: frozenset[int | None]) -> bool:
        """Whether the user has a process other than these kernels."""
        counted = (kernels, self._count.read_text() if self._count else "")
        if counted == self._quiet and counted[1]:
            return False
        if any(pid not in kernels for pid in user_processes()):
            return True
        self._quiet = counted
        return False
