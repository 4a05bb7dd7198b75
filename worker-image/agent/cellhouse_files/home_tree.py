"""Looks at the folders of the home and the files in them, and remembers what it has seen."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from cellhouse_files.budget import MAX_ENTRIES, Budget, TooMuch
from cellhouse_files.inotify import Inotify
from cellhouse_files.seen import PART_PREFIX, Folder, Seen, is_left_out, seen_in

# Watches count per user on the whole host: 65,536 or more, by default. It has 128 instances of inotify.
MAX_WATCHES = 512
# Deeper trees are hostile, or a mistake. Each level holds a descriptor while it is looked at.
MAX_DEPTH = 100
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class HomeTree:
    """All that was seen, and how it changed since `record`."""

    def __init__(self, home: bytes, inotify: Inotify | None) -> None:
        self._home = home
        self._inotify = inotify
        self._root = Folder(None, "", 0)
        self._by_watch: dict[int, Folder] = {}
        self._before: dict[tuple[Folder, str], Seen | None] | None = None
        # Files and folders that were seen.
        self.entries = 0
        # False once a folder could not be watched, because there are no more watches.
        self.is_watched = inotify is not None

    def folder_of(self, watch: int) -> Folder | None:
        """The folder of a watch, if it was not dropped meanwhile."""
        return self._by_watch.get(watch)

    def watch_ended(self, watch: int) -> None:
        """The watch is gone with its folder. Another may have the folder's name, and even its inode."""
        folder = self._by_watch.pop(watch, None)
        if folder:
            folder.watch = None

    def record(self) -> None:
        """Record what is changed from now on."""
        self._before = {}

    def recorded(self) -> Iterator[tuple[Folder, str, Seen | None]]:
        """What each changed file was before (None: nothing), by folder and name; ends the recording."""
        before, self._before = self._before or {}, None
        for (folder, name), was in before.items():
            yield folder, name, was

    def look_at_all(self, budget: Budget) -> None:
        """Look at everything. Raises TooMuch or OSError."""
        fd = os.open(self._home, OPEN_FOLDER)
        try:
            self._root.inode = os.fstat(fd).st_ino
            self._look_into(self._root, fd, 0, budget)
        finally:
            os.close(fd)

    def look_at_names(self, folder: Folder, names: Iterable[str], budget: Budget) -> None:
        """Look at these entries of a folder, and into folders that are new. Raises TooMuch or OSError."""
        if not folder.is_attached:
            return
        fd = self._open(folder)
        if fd is None:
            # Another thing is in its place. That is an event of the folder above.
            return
        try:
            depth = len(folder.names())
            for name in names:
                budget.spend()
                self._look_at(folder, fd, name, depth, budget)
        finally:
            os.close(fd)

    def place_of(self, path: str) -> tuple[Folder, str]:
        """The folder and the name to look at for a path: of itself, or of the first folder above it that is new."""
        *above, name = path.split("/")
        folder = self._root
        for part in above:
            inner = folder.folders.get(part)
            if inner is None:
                return folder, part
            folder = inner
        return folder, name

    def _look_into(self, folder: Folder, fd: int, depth: int, budget: Budget) -> None:
        """Look at every entry of a folder, and into its folders."""
        if depth > MAX_DEPTH:
            raise TooMuch("too_deep")
        self._watch(folder, fd)
        found = set()
        for entry in _entries_in(fd, budget):
            budget.spend()
            name = entry.name
            # The kind came with the listing, so what does not count costs no further call.
            if entry.is_file(follow_symlinks=False) and name not in folder.folders:
                if not name.startswith(PART_PREFIX) and self._look_at_file(folder, entry):
                    found.add(name)
            elif entry.is_dir(follow_symlinks=False) and is_left_out(name):
                continue
            elif not entry.is_symlink():
                self._look_at(folder, fd, name, depth, budget, is_whole=True)
                found.add(name)
        for name in (folder.files.keys() | folder.folders.keys()) - found:
            budget.spend()
            self._set_file(folder, name, None)
            self._drop(folder, name, budget)

    def _look_at_file(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        """Look at what was a file in the listing; false if it is gone."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return False
        self._set_file(folder, entry.name, seen_in(status))
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
            self._set_file(folder, name, None)
            self._drop(folder, name, budget)
            return
        is_file = stat.S_ISREG(status.st_mode) and not name.startswith(PART_PREFIX)
        self._set_file(folder, name, seen_in(status) if is_file else None)
        is_folder = stat.S_ISDIR(status.st_mode) and not is_left_out(name)
        known = folder.folders.get(name)
        if known and not (is_folder and known.inode == status.st_ino):
            self._drop(folder, name, budget)
            known = None
        if is_folder and (is_whole or known is None or known.watch is None):
            if known is None:
                known = folder.folders[name] = Folder(folder, name, status.st_ino)
                self._count(1)
            self._enter(known, fd, depth, budget)

    def _enter(self, folder: Folder, parent_fd: int, depth: int, budget: Budget) -> None:
        try:
            fd = os.open(folder.name, OPEN_FOLDER, dir_fd=parent_fd)
        except OSError:
            # It was replaced, which is another event. Or code has forbidden it: what was in it is still there, as far
            # as anybody can see.
            return
        try:
            if os.fstat(fd).st_ino == folder.inode:
                self._look_into(folder, fd, depth + 1, budget)
        finally:
            os.close(fd)

    def _watch(self, folder: Folder, fd: int) -> None:
        """Watch a folder before looking into it, so that nothing is missed."""
        if self._inotify is None or not self.is_watched:
            return
        if folder.watch is None and len(self._by_watch) >= MAX_WATCHES:
            self.is_watched = False
            return
        os.fchdir(fd)
        try:
            folder.watch = self._inotify.watch_working_folder()
        except OSError:
            self.is_watched = False
            return
        finally:
            # A folder in which a process is stays, and so does its watch.
            os.chdir("/")
        self._by_watch[folder.watch] = folder

    def _set_file(self, folder: Folder, name: str, seen: Seen | None) -> None:
        was = folder.files.get(name)
        if was == seen:
            return
        if self._before is not None:
            self._before.setdefault((folder, name), was)
        if seen is None:
            del folder.files[name]
            self._count(-1)
            return
        folder.files[name] = seen
        if was is None:
            self._count(1)

    def _drop(self, parent: Folder, name: str, budget: Budget) -> None:
        """The folder of this name, if there is one, is gone, or is another one now."""
        folder = parent.folders.pop(name, None)
        if folder is None:
            return
        self._count(-1)
        folder.is_attached = False
        if folder.watch is not None and self._by_watch.get(folder.watch) is folder:
            del self._by_watch[folder.watch]
            if self._inotify:
                self._inotify.unwatch(folder.watch)
        for file in list(folder.files):
            budget.spend()
            self._set_file(folder, file, None)
        for inner in list(folder.folders):
            budget.spend()
            self._drop(folder, inner, budget)

    def _count(self, more: int) -> None:
        self.entries += more
        if self.entries > MAX_ENTRIES:
            raise TooMuch("too_many_entries")

    def _open(self, folder: Folder) -> int | None:
        """Open a folder by the names that lead to it; None if that is not possible, or leads to another."""
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
    """The entries of a folder. No more of them are held than may count."""
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            budget.spend()
            found.append(entry)
            if len(found) > MAX_ENTRIES:
                raise TooMuch("too_many_entries")
    return found
