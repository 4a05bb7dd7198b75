"""Looks at the folders of the home and the files in them, and notes in a SeenTree what it has seen."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable

from cellhouse_files.budget import MAX_ENTRIES, Budget, TooMuch
from cellhouse_files.inotify import Inotify
from cellhouse_files.parts import PART_PREFIX
from cellhouse_files.seen import Folder, is_left_out, seen_in
from cellhouse_files.seen_tree import SeenTree
from cellhouse_files.watches import Watches

# Deeper trees are hostile, or a mistake. Each level holds a descriptor while it is looked at.
MAX_DEPTH = 100
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class HomeTree:
    """Looks at one folder and what is in it, except `parts`: the names of files that the API is writing."""

    def __init__(self, home: bytes, parts: Container[bytes], inotify: Inotify | None) -> None:
        self._home = home
        self._parts = parts
        self.watches = Watches(inotify)
        self.seen = SeenTree(self.watches)

    def look_at_all(self, budget: Budget) -> None:
        """Look at everything. Raises TooMuch or OSError."""
        fd = os.open(self._home, OPEN_FOLDER)
        try:
            self.seen.root.inode = os.fstat(fd).st_ino
            self._look_into(self.seen.root, fd, 0, budget)
        finally:
            os.close(fd)

    def look_at_names(self, folder: Folder, names: Iterable[str], budget: Budget) -> None:
        """Look at these entries of a folder, and into folders that are new. Raises TooMuch or OSError."""
        if not folder.is_attached:
            return
        fd = self._open(folder)
        if fd is None:
            # Something else is in its place. The folder above has an event for that.
            return
        try:
            depth = len(folder.names())
            for name in names:
                budget.spend()
                self._look_at(folder, fd, name, depth, budget)
        finally:
            os.close(fd)

    def _look_into(self, folder: Folder, fd: int, depth: int, budget: Budget) -> None:
        """Look at every entry of a folder, and into its folders."""
        if depth > MAX_DEPTH:
            raise TooMuch("too_deep")
        self.watches.begin(folder, fd)
        found = set()
        for entry in _entries_in(fd, budget):
            budget.spend()
            name = entry.name
            # The kind came with the listing, so what does not count costs no further call.
            if entry.is_file(follow_symlinks=False) and name not in folder.folders:
                if not self._is_part(name) and self._look_at_file(folder, entry):
                    found.add(name)
            elif entry.is_dir(follow_symlinks=False) and is_left_out(name):
                continue
            elif not entry.is_symlink():
                self._look_at(folder, fd, name, depth, budget, is_whole=True)
                found.add(name)
        for name in (folder.files.keys() | folder.folders.keys()) - found:
            budget.spend()
            self.seen.forget(folder, name, budget)

    def _look_at_file(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        """Look at what was a file in the listing; false if it is gone."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return False
        self.seen.set_file(folder, entry.name, seen_in(status))
        return True

    def _look_at(
        self,
        folder: Folder,
        fd: int,
        name: str,
        depth: int,
        budget: Budget,
        is_whole: bool = False,
    ) -> None:
        """Look at one entry; with `is_whole`, also into a folder that is not new."""
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            self.seen.forget(folder, name, budget)
            return
        is_file = stat.S_ISREG(status.st_mode) and not self._is_part(name)
        self.seen.set_file(folder, name, seen_in(status) if is_file else None)
        is_folder = stat.S_ISDIR(status.st_mode) and not is_left_out(name)
        known = folder.folders.get(name)
        if known and not (is_folder and known.inode == status.st_ino):
            self.seen.drop(folder, name, budget)
            known = None
        if is_folder and (is_whole or known is None or known.watch is None):
            if known is None:
                known = self.seen.add_folder(folder, name, status.st_ino)
            self._enter(known, fd, depth, budget)

    def _enter(self, folder: Folder, parent_fd: int, depth: int, budget: Budget) -> None:
        try:
            fd = os.open(folder.name, OPEN_FOLDER, dir_fd=parent_fd)
        except OSError:
            # It was replaced, which is another event. Or code has forbidden it: as far as anybody can see, its entries
            # are still there.
            return
        try:
            if os.fstat(fd).st_ino == folder.inode:
                self._look_into(folder, fd, depth + 1, budget)
        finally:
            os.close(fd)

    def _is_part(self, name: str) -> bool:
        # Other names, which are nearly all, cost no look-up.
        return name.startswith(PART_PREFIX) and os.fsencode(name) in self._parts

    def _open(self, folder: Folder) -> int | None:
        """Open a folder by the names that lead to it; None if that fails, or if they lead to another folder."""
        fd = os.open(self._home, OPEN_FOLDER)
        try:
            for name in folder.names():
                inner = os.open(name, OPEN_FOLDER, dir_fd=fd)
                os.close(fd)
                fd = inner
            if os.fstat(fd).st_ino == folder.inode:
                return fd
        except PermissionError:
            # Code has forbidden it. Once it is allowed again, everything in it is looked at.
            folder.watch = None
        except OSError:
            # It is gone.
            folder.watch = None
        os.close(fd)
        return None


def _entries_in(fd: int, budget: Budget) -> list[os.DirEntry[str]]:
    """The entries of a folder. Raises TooMuch if there are more than MAX_ENTRIES."""
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            budget.spend()
            found.append(entry)
            if len(found) > MAX_ENTRIES:
                raise TooMuch("too_many_entries")
    return found
