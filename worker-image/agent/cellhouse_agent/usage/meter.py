"""The CPU time and memory of one execution: measured on the processes of its kernel or command while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cellhouse_agent.processes.reaper import Reaper
from cellhouse_agent.processes.table import (
    CHILDREN_SYSTEM_TIME_FIELD,
    CHILDREN_USER_TIME_FIELD,
    below,
)
from cellhouse_agent.usage.container import CounterFile, Usage
from cellhouse_agent.usage.sampling import (
    TICK_MS,
    Snapshot,
    TakeSnapshot,
    Trees,
    clock_ms,
    take_snapshot,
)
from cellhouse_kernel.births import Births

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
        """Stop sampling. May be called again."""
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
        """CPU milliseconds since the start, without uncharged time; 0 if unknown."""
        now = self._use()
        return now.cpu_ms - self._start.cpu_ms if now and self._start else 0.0

    def stop(self, was_out_of_memory: bool) -> tuple[float | None, int | None]:
        """End sampling; returns CPU milliseconds and the highest memory seen in bytes, each None if unknown."""
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


PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Linux shows the times of ended children in whole ticks, and a look takes a while. So a smaller difference is noise,
# not uncharged time.
NOISE_MS = 50.0


class TreeUse(NamedTuple):
    """The CPU time that a tree has used so far, and the memory that it uses now."""

    cpu_ms: float
    # The sum over its processes, which counts shared memory several times, but at most what the container uses.
    memory_bytes: int
    # In the whole container.
    uncharged_ms: float


class TreeMeter:
    """Measures one process and all that it has started, the processes below its reaper, from its begin until `close`.

    The CPU time is that of the living processes, and of the ended ones that their parents have waited for. If a parent
    ends first, the reaper becomes the parent. So the time of an ended process moves up the tree, and none is lost.
    There is one exception: a process that ignores SIGCHLD does not wait for its children. Their CPU time is uncharged:
    Linux counts it for the container, but for no process.

    A look at all processes takes about 0.2 ms. It is left out while the process is alone and no other is made.
    """

    def __init__(self, pid: int, reaper: Reaper, trees: Trees) -> None:
        self._pid = pid
        self._reaper = reaper
        self._trees = trees
        trees.begin()
        self._is_closed = False
        self._is_prepared = False
        self._memory: CounterFile | None = None
        self._births: Births | ListedBirths | None = None
        # What the last look has shown: whether the process was alone, and what all others had used by then.
        self._is_alone = False
        self._others_ms = 0.0
        self._uncharged_ms = 0.0

    @property
    def peak_bytes(self) -> int:
        """The most memory that its process, or any child it has waited for, ever had; 0 until the process has ended."""
        return self._reaper.child_bytes

    def use(self) -> TreeUse | None:
        """Measure it now. None if its reaper is lost."""
        if quick := self._quick_use():
            return quick
        use = self._look(take_snapshot)
        if self._is_odd(use):
            # Perhaps a process ended during the look, and was missed or counted twice. So a second look decides.
            use = self._look(take_snapshot)
        self._uncharged_ms = use.uncharged_ms
        return None if self._reaper.is_lost else use

    def sample_memory(self, take: TakeSnapshot) -> int:
        """Its memory now."""
        if quick := self._quick_use():
            return quick.memory_bytes
        use = self._look(lambda _usage: take())
        if self._is_odd(use):
            # The next measurement has to look at all processes.
            self._is_alone = False
        else:
            self._uncharged_ms = use.uncharged_ms
        return use.memory_bytes

    def close(self) -> None:
        """Stop measuring: the tree has ended. May be called again."""
        if not self._is_closed:
            self._is_closed = True
            self._trees.end()
        for file in (self._memory, self._births):
            if file:
                file.close()
        self._memory = self._births = None

    def _prepare(self) -> None:
        """Open the files that `_quick_use` reads.

        Without `_memory`, the process has ended already. Without `_births`, each measurement is a look.
        """
        self._is_prepared = True
        with suppress(OSError):
            self._memory = CounterFile(Path(f"/proc/{self._pid}/statm"))
            self._births = births = Births()
            if not births.are_shown:
                births.close()
                self._births = ListedBirths(self._pid, self._reaper.pid)

    def _quick_use(self) -> TreeUse | None:
        """Measure without a look at all processes. None if that look is needed."""
        if not self._is_prepared and not self._is_closed:
            self._prepare()
        has_births = self._births is None or self._births.any()
        if has_births or not self._is_alone or not self._memory or self._reaper.has_exited:
            return None
        try:
            pages = int(self._memory.read_text().split()[1])
            cpu_ms = clock_ms(self._pid) + self._others_ms
        except (OSError, IndexError):
            return None
        return TreeUse(cpu_ms, pages * PAGE_BYTES, self._uncharged_ms)

    def _is_odd(self, use: TreeUse) -> bool:
        return abs(use.uncharged_ms - self._uncharged_ms) > NOISE_MS

    def _look(self, take: Callable[[Usage], Snapshot]) -> TreeUse:
        reaper, usage = self._reaper, self._trees.usage
        # Read its messages first: later ones may be about processes that the snapshot shows, too.
        reaper.hear()
        reaped_ms = reaper.used.cpu_ms
        table, own_ms, used_ms, uncharged_ms = take(usage)
        found: dict[int, int] = {}
        entry = table.get(reaper.pid)
        if entry and entry.start == reaper.start:
            found = below(reaper.pid, table)
            reaped_ms = max(reaped_ms, entry.children_ticks * TICK_MS)
        else:
            # It has ended, with all below it.
            reaper.hear()
            reaped_ms = reaper.used.cpu_ms
        cpu_ms = reaped_ms + sum(used_ms[pid] for pid in found)
        self._is_alone = self._pid in found and len(found) == 1
        if self._is_alone:
            self._others_ms = cpu_ms - own_ms[self._pid]
        memory_bytes = sum(table[pid].resident_pages for pid in found) * PAGE_BYTES
        if len(found) > 1:
            memory_bytes = min(memory_bytes, usage.memory_bytes())
        return TreeUse(cpu_ms, memory_bytes, uncharged_ms)


CHILDREN_FIELDS = slice(CHILDREN_USER_TIME_FIELD, CHILDREN_SYSTEM_TIME_FIELD + 1)


class ListedBirths:
    """Tells whether a tree has changed lately, where the system does not show the id of the newest process (gVisor).

    It notices which processes there are, and what a process and its reaper were charged for. It misses a process that
    has begun and ended since the last look, if its CPU time was charged to nobody. Without it, a `1+1` under gVisor
    takes 1.37 times as long. Raises OSError.
    """

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
        """Close the files. May be called again."""
        for stat in self._stats:
            stat.close()


def _children_ticks(stat: CounterFile) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()[CHILDREN_FIELDS]
