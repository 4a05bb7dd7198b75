"""An entry of docs/worker-protocol.md, "Files": what is told about a file, folder, link, or anything else."""

from __future__ import annotations

import base64
import os
import stat

from cellhouse_files.paths import shown

type Entry = dict[str, str | int | float | None]

NS_PER_MS = 1_000_000


def etag_of(status: os.stat_result) -> str:
    """A strong entity tag: it changes with the content. Hostile code can keep it, but deceives only itself."""
    parts = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return f'"{"-".join(f"{part:x}" for part in parts)}"'


def kind_of(mode: int) -> str:
    """The kind of an entry."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def entry_of(path: bytes, status: os.stat_result, target: bytes | None = None) -> Entry:
    """The entry at this path from the root; `target` is where a link leads."""
    relative = shown(path)
    kind = kind_of(status.st_mode)
    entry: Entry = {
        "kind": kind,
        "size": status.st_size if kind == "file" else 0,
        "mode": stat.S_IMODE(status.st_mode),
        "modified_at": status.st_mtime_ns // NS_PER_MS,
        "etag": etag_of(status),
        "target": None,
    }
    for field, value in {
        "path": relative,
        "name": relative.rpartition(b"/")[2],
        **({"target": target} if target is not None else {}),
    }.items():
        entry.update(named(field, value))
    return entry


def named(field: str, value: bytes) -> dict[str, str]:
    """A name as text. One that is not UTF-8 is escaped, and comes in base64, too."""
    try:
        return {field: value.decode()}
    except UnicodeDecodeError:
        exact = base64.b64encode(value).decode()
        return {field: value.decode(errors="backslashreplace"), f"{field}_base64": exact}


def look_at(path: bytes, folder: int, name: bytes) -> Entry:
    """The entry of a name in an open folder, without following a link; raises OSError."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else None
    return entry_of(path, status, target)
