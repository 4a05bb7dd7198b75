"""What this container uses: CPU, memory and OOM kills, as its control group shows them inside it, and its disks."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
# Shorter than the time between two samples of memory. So each sample reads the file, and only a measurement between two
# samples gets an older number.
# The trees of one sample share a read: without that, a sample of 20 trees takes 1.08 times as long.
FILE_CACHE_SECONDS = 0.04
# cgroup v1 writes "no limit" as the largest multiple of a page.
V1_UNLIMITED_BYTES = 1 << 62


class UsageUnavailable(Exception):
    """This container does not show the files of its control group."""


class Usage(Protocol):
    """Counters of the whole container."""

    def cpu_ms(self) -> float:
        """CPU time used so far."""

    def memory_bytes(self) -> int:
        """Memory in use now, without file cache that could be reclaimed."""

    def cache_bytes(self) -> int:
        """File cache that could be reclaimed."""

    def memory_limit_bytes(self) -> int | None:
        """The limit, None if there is none."""

    def oom_kills(self) -> int:
        """How many processes Linux has killed in this container because memory ran out."""


def read_field(text: str, name: str) -> int:
    """The number on the line `name number`, as in memory.stat; 0 if there is none."""
    _, _, rest = f"\n{text}".partition(f"\n{name} ")
    value = rest.partition("\n")[0]
    return int(value) if value.isdigit() else 0


class InactiveFile:
    """The file cache that could be reclaimed. It is read less often: it changes slowly, and memory.stat is long."""

    def __init__(self, stat: CounterFile, name: str) -> None:
        self._stat = stat
        self._name = name
        self._bytes = 0
        self._good_until = 0.0

    def bytes(self) -> int:
        """Its size, as it was at most FILE_CACHE_SECONDS ago."""
        now = time.monotonic()
        if now >= self._good_until:
            self._bytes = read_field(self._stat.read_text(), self._name)
            self._good_until = now + FILE_CACHE_SECONDS
        return self._bytes


class CgroupV1Usage:
    """Control groups version 1: one folder per controller."""

    def __init__(self, root: Path) -> None:
        self._cpu = CounterFile(root / "cpuacct" / "cpuacct.usage")
        memory = root / "memory"
        self._usage = CounterFile(memory / "memory.usage_in_bytes")
        stat = CounterFile(memory / "memory.stat")
        self._inactive = InactiveFile(stat, "total_inactive_file")
        self._limit = CounterFile(memory / "memory.limit_in_bytes")
        self._oom = CounterFile(memory / "memory.oom_control")

    def cpu_ms(self) -> float:
        """See Usage."""
        return int(self._cpu.read_text()) / 1e6

    def memory_bytes(self) -> int:
        """See Usage."""
        return max(0, int(self._usage.read_text()) - self._inactive.bytes())

    def cache_bytes(self) -> int:
        """See Usage."""
        return self._inactive.bytes()

    def memory_limit_bytes(self) -> int | None:
        """See Usage."""
        limit = int(self._limit.read_text())
        return limit if limit < V1_UNLIMITED_BYTES else None

    def oom_kills(self) -> int:
        """See Usage."""
        return read_field(self._oom.read_text(), "oom_kill")


class GvisorUsage:
    """gVisor's own counters, in the folders of version 1. CPU time comes in steps of 10 ms, and there are no OOM kills.

    The host's control group is invisible inside. The limit is the total in meminfo, since gVisor shows a machine
    with exactly as much memory as the container may use.
    """

    def __init__(self, root: Path, meminfo: Path) -> None:
        self._cpu = root / "cpuacct" / "cpuacct.usage"
        self._usage = root / "memory" / "memory.usage_in_bytes"
        self._meminfo = meminfo

    def cpu_ms(self) -> float:
        """See Usage."""
        return int(self._cpu.read_text()) / 1e6

    def memory_bytes(self) -> int:
        """See Usage."""
        return int(self._usage.read_text())

    def cache_bytes(self) -> int:
        """Always 0: gVisor's own file cache is no part of this container."""
        return 0

    def memory_limit_bytes(self) -> int | None:
        """See Usage."""
        name, kilobytes, _ = self._meminfo.read_text().split(maxsplit=2)
        return int(kilobytes) * 1024 if name == "MemTotal:" else None

    def oom_kills(self) -> int:
        """Always 0: at the limit the host's kernel kills the whole sandbox, including this agent."""
        return 0


class CgroupV2Usage:
    """Control groups version 2: one folder for all controllers, the root of the container's own namespace.

    `memory.events` also counts groups below this one, but there are none. `memory.peak` is of no use: it covers the
    container's whole life, and resetting it (Linux 6.12) takes write access.
    """

    def __init__(self, root: Path) -> None:
        self._cpu = CounterFile(root / "cpu.stat")
        self._current = CounterFile(root / "memory.current")
        self._inactive = InactiveFile(CounterFile(root / "memory.stat"), "inactive_file")
        self._limit = CounterFile(root / "memory.max")
        self._events = CounterFile(root / "memory.events")

    def cpu_ms(self) -> float:
        """See Usage."""
        return read_field(self._cpu.read_text(), "usage_usec") / 1e3

    def memory_bytes(self) -> int:
        """See Usage."""
        return max(0, int(self._current.read_text()) - self._inactive.bytes())

    def cache_bytes(self) -> int:
        """See Usage."""
        return self._inactive.bytes()

    def memory_limit_bytes(self) -> int | None:
        """See Usage."""
        limit = self._limit.read_text().strip()
        return int(limit) if limit.isdigit() else None

    def oom_kills(self) -> int:
        """See Usage."""
        return read_field(self._events.read_text(), "oom_kill")


def find_usage(root: Path = CGROUP_ROOT, meminfo: Path = MEMINFO) -> Usage:
    """The counters of whichever kind this container shows; raises UsageUnavailable."""
    try:
        usage: Usage
        if (root / "memory.current").exists():
            usage = CgroupV2Usage(root)
        elif (root / "memory" / "memory.stat").exists():
            usage = CgroupV1Usage(root)
        elif (root / "memory" / "memory.usage_in_bytes").exists():
            usage = GvisorUsage(root, meminfo)
        else:
            raise UsageUnavailable(f"no memory controller in {root}")
        usage.cpu_ms(), usage.memory_bytes(), usage.memory_limit_bytes(), usage.oom_kills()
    except (OSError, ValueError) as error:
        raise UsageUnavailable(f"{type(error).__name__} while reading {root}") from error
    return usage


# The longest, memory.stat, has about 2 KB.
MAX_COUNTER_BYTES = 8_192


class CounterFile:
    """A small file of counters, whose text Linux generates at each read. Raises OSError when there is no such file.

    It stays open. Reading it for each execution takes a tenth of the time that opening it again would take.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)

    def read_text(self) -> str:
        """The current text."""
        return os.pread(self._fd, MAX_COUNTER_BYTES, 0).decode("ascii", "replace")

    def close(self) -> None:
        """Close the file. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


# How long after a count the killed process may end: Linux frees its memory first. An older count is of another process.
MAX_AGE_SECONDS = 2.0


class OomLedger:
    """Knows whether the end of a kernel or command was a kill for lack of memory.

    Linux counts such kills for the whole container, and does not say whom they hit. It counts each before it kills. So
    a new count, if there is one, explains an end by SIGKILL, and is used up by that. Call `look` now and then: it notes
    when a count is first seen, and forgets old ones.
    """

    def __init__(self, usage: Usage, clock: Callable[[], float] = time.monotonic) -> None:
        self._usage = usage
        self._clock = clock
        self._known = usage.oom_kills()
        # When each count was seen first.
        self._unused: deque[float] = deque()

    def look(self) -> None:
        """Note new kills."""
        now, kills = self._clock(), self._usage.oom_kills()
        self._unused.extend([now] * (kills - self._known))
        self._known = kills
        while self._unused and self._unused[0] < now - MAX_AGE_SECONDS:
            self._unused.popleft()

    def forget(self) -> None:
        """Forget the kills until now: they explain no later end."""
        self._known = self._usage.oom_kills()
        self._unused.clear()

    def explains(self, exit_code: int | None) -> bool:
        """Whether a process with this exit code was killed because memory ran out.

        Call it once for each end, but not for a process that the agent itself has killed. Without an exit code, the
        reaper is lost (processes/reaper.py). Then any new count is assumed to explain the end.
        """
        if exit_code not in (-signal.SIGKILL, None):
            return False
        self.look()
        if not self._unused:
            return False
        self._unused.popleft()
        return True


# Each is a file system of its own in memory, with a limit of its own. Everything else is read-only.
FOLDERS = ("/home/user", "/tmp", "/dev/shm")


@dataclass(frozen=True)
class DiskUse:
    """The use of all disks that user code can fill, together."""

    used_bytes: int
    limit_bytes: int


def disk_use(folders: Sequence[str] = FOLDERS) -> DiskUse:
    """How full the disks are. Folders on one disk, as outside a worker, count once; missing folders do not count."""
    seen: set[int] = set()
    used, limit = 0, 0
    for folder in folders:
        try:
            device = os.stat(folder).st_dev
            disk = os.statvfs(folder)
        except OSError:
            continue
        if device in seen:
            continue
        seen.add(device)
        used += (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        limit += disk.f_blocks * disk.f_frsize
    return DiskUse(used, limit)
