"""Tells whether a tree has changed lately, where the system does not show the id of the newest process (gVisor).

It misses a process that has begun and ended since the last look, if its CPU time was charged to nobody.
Without it, a `1+1` under gVisor takes 1.37 times as long.
"""

from __future__ import annotations

import os
from pathlib import Path

from cellhouse_agent.counter_file import CounterFile
from cellhouse_agent.process_table import CHILDREN_SYSTEM_TIME_FIELD, CHILDREN_USER_TIME_FIELD

CHILDREN_FIELDS = slice(CHILDREN_USER_TIME_FIELD, CHILDREN_SYSTEM_TIME_FIELD + 1)


class ListedBirths:
    """Notices which processes there are, and what a process and its reaper were charged for. Raises OSError."""

    def __init__(self, pid: int, reaper: int) -> None:
        self._stats: list[CounterFile] = []
        self._seen: object = None
        try:
            for each in (pid, reaper):
                self._stats.append(CounterFile(Path(f"/proc/{each}/stat")))
        except OSError:
            self.close()
            raise

    def any(self) -> bool:
        """Whether processes or charged times have changed since the last look; also true if they cannot be read."""
        try:
            seen = (frozenset(os.listdir("/proc")), [_children_ticks(stat) for stat in self._stats])
        except OSError:
            return True
        is_known = seen == self._seen
        self._seen = seen
        return not is_known

    def close(self) -> None:
        """Look no more. May be called again."""
        for stat in self._stats:
            stat.close()


def _children_ticks(stat: CounterFile) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()[CHILDREN_FIELDS]
