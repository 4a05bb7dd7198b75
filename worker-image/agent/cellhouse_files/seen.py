"""What was seen of the home: its folders, and the metadata of the files in them.

Names are text as Python has it: bytes that are not UTF-8 are lone surrogates.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Seen(NamedTuple):
    """A regular file at a look. If one of these differs, it was modified."""

    size: int
    mtime_ns: int
    inode: int


class Folder:
    """A folder that is looked into, and what it held then."""

    __slots__ = ("parent", "name", "inode", "watch", "files", "folders", "is_attached")

    def __init__(self, parent: Folder | None, name: str, inode: int) -> None:
        self.parent = parent
        self.name = name
        self.inode = inode
        # None if nothing tells of its changes: it could not be read, or there is no inotify.
        self.watch: int | None = None
        self.files: dict[str, Seen] = {}
        self.folders: dict[str, Folder] = {}
        self.is_attached = True

    def names(self) -> list[str]:
        """The names from the home down to this folder."""
        names = []
        folder = self
        while folder.parent:
            names.append(folder.name)
            folder = folder.parent
        names.reverse()
        return names

    def path(self, name: str) -> str:
        """The path of an entry, relative to the home."""
        return "/".join([*self.names(), name])


def is_left_out(name: str) -> bool:
    """Whether a folder of this name is left out, with all that is in it: caches and settings of programs."""
    return name.startswith(".") or name == "__pycache__"


def seen_in(status: os.stat_result) -> Seen:
    """The part of a file's metadata that shows whether it was modified."""
    return Seen(status.st_size, status.st_mtime_ns, status.st_ino)
