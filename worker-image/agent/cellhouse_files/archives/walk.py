"""Goes through a tree with one descriptor, however deep it is, and never follows a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from cellhouse_files.paths import MAX_PATH_BYTES, step
from cellhouse_files.refusals import Refused

# More than there are files on a worker's disk.
MAX_MEMBERS = 100_000


class Found(NamedTuple):
    """One thing in the tree. `folder` is open until the next one is asked for."""

    path: bytes
    folder: int
    name: bytes
    status: os.stat_result


class _Level(NamedTuple):
    prefix: bytes
    names: Iterator[bytes]
    status: os.stat_result


def walk(folder: int) -> Iterator[Found]:
    """Everything below an open folder, a folder before what is in it, names sorted. Closes `folder`.

    Raises Refused if there is too much, or if a folder is moved meanwhile.
    """
    here = folder
    try:
        levels = [_level(b"", here)]
        count = 0
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                levels.pop()
                if levels:
                    here = step(here, b"..")
                    _demand_same(here, levels[-1].status)
                continue
            count += 1
            if count > MAX_MEMBERS:
                raise Refused("too_large", f"The folder has more than {MAX_MEMBERS} entries.")
            found = _look(level.prefix, here, name)
            if found is None:
                continue
            yield found
            if stat.S_ISDIR(found.status.st_mode):
                here = step(here, name)
                levels.append(_level(found.path + b"/", here))
    finally:
        os.close(here)


def _level(prefix: bytes, here: int) -> _Level:
    names: list[bytes] = []
    with os.scandir(here) as entries:
        for entry in entries:
            names.append(os.fsencode(entry.name))
            if len(names) > MAX_MEMBERS:
                raise Refused("too_large", f"A folder has more than {MAX_MEMBERS} entries.")
    return _Level(prefix, iter(sorted(names)), os.fstat(here))


def _look(prefix: bytes, here: int, name: bytes) -> Found | None:
    """The entry of this name; None if it has vanished."""
    path = prefix + name
    if len(path) > MAX_PATH_BYTES:
        raise Refused("too_large", f"A path has more than {MAX_PATH_BYTES} bytes.")
    try:
        return Found(path, here, name, os.stat(name, dir_fd=here, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _demand_same(here: int, status: os.stat_result) -> None:
    if not os.path.samestat(os.fstat(here), status):
        raise Refused("busy", "The folder was moved meanwhile.")
