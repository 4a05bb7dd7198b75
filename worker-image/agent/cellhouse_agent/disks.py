"""The disks of this container: what user code can fill."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

# Each is a file system of its own in memory, with a limit of its own. Everything else is read-only.
FOLDERS = ("/home/user", "/tmp", "/dev/shm")


@dataclass(frozen=True)
class DiskUse:
    """Bytes of all disks together."""

    used_bytes: int
    limit_bytes: int


def disk_use(folders: Sequence[str] = FOLDERS) -> DiskUse:
    """What the disks hold now. Folders on the same disk count once; missing folders do not count."""
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
