"""An entry of docs/internals/worker-protocol.md, "Files": the facts about a file, folder, link, or anything else."""

from __future__ import annotations

import base64
import functools
import grp
import os
import pwd
import stat

from cellhouse_files.paths import open_path, shown
from cellhouse_files.refusals import Refused

type Facts = dict[str, str | int | float | None]
type Entry = dict[str, str | int | float | Facts | None]

NS_PER_MS = 1_000_000
# The most names of users, and of groups, that are remembered. A worker's files belong to a few of them.
MAX_KNOWN_NAMES = 64


def etag_of(status: os.stat_result) -> str:
    """A strong entity tag: it changes with the content. Code can fake its own file's tag, but deceives only itself."""
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
    """The entry at this path from the root. `target` is the path that a link contains."""
    relative = shown(path)
    kind = kind_of(status.st_mode)
    entry: Entry = {
        "kind": kind,
        "size": status.st_size if kind == "file" else 0,
        "mode": stat.S_IMODE(status.st_mode),
        "modified_at": status.st_mtime_ns // NS_PER_MS,
        "etag": etag_of(status),
        "owner": _name_of_user(status.st_uid),
        "group": _name_of_group(status.st_gid),
        "target": None,
    }
    for field, value in {
        "path": relative,
        "name": relative.rpartition(b"/")[2],
        **({"target": target} if target is not None else {}),
    }.items():
        entry.update(named(field, value))
    if target is not None:
        entry["leads_to"] = end_of_link(path)
    return entry


def end_of_link(path: bytes) -> Facts | None:
    """The final target of a link, with its path from the root. None: there is none, or the user may not see it."""
    try:
        fd = open_path(path, os.O_PATH)
    except (OSError, Refused):
        return None
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    try:
        end = os.path.realpath(path, strict=True)
    except OSError:
        # It has just changed.
        return None
    facts: Facts = {"kind": kind_of(status.st_mode), "mode": stat.S_IMODE(status.st_mode)}
    return {**facts, **named("path", end)}


@functools.lru_cache(maxsize=MAX_KNOWN_NAMES)
def _name_of_user(uid: int) -> str:
    """The user's name; the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.lru_cache(maxsize=MAX_KNOWN_NAMES)
def _name_of_group(gid: int) -> str:
    """The group's name; the number if it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def named(field: str, value: bytes) -> dict[str, str]:
    """A name as text. One that is not UTF-8 is escaped, and comes in base64, too."""
    try:
        return {field: value.decode()}
    except UnicodeDecodeError:
        exact = base64.b64encode(value).decode()
        return {field: value.decode(errors="backslashreplace"), f"{field}_base64": exact}


def entry_at(path: bytes, folder: int, name: bytes) -> Entry:
    """The entry of a name in an open folder, without following a link; raises OSError."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else None
    return entry_of(path, status, target)
