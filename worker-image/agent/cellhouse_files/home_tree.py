"""The folders of the home and the files in them, as they were at the last scan.

A HomeTree scans folders: all their entries, or some names. It notes the entries in a TreeIndex, which knows the changes
since the scan before. It watches each folder that it has scanned (Watches). A ScanBudget bounds a scan,
whatever code has put into the home. Names are text as Python has it: bytes that are not UTF-8 are lone surrogates.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from cellhouse_files.inotify import Inotify
from cellhouse_files.writing import PART_PREFIX

# Deeper trees are hostile, or a mistake. Each level holds a descriptor while it is scanned.
MAX_DEPTH = 100
# Files and folders.
MAX_ENTRIES = 10_000
# Reading the clock costs as much as scanning a file, so it is done only once for this many entries.
ENTRIES_PER_CLOCK_READING = 32
# Linux limits watches per uid, on the whole host: by default to 65,536 or more, and instances of inotify to 128.
MAX_WATCHES = 512
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class HomeTree:
    """Scans one folder and everything in it, except `parts`: the names of files that the API is writing."""

    def __init__(self, home: bytes, parts: Container[bytes], inotify: Inotify | None) -> None:
        self._home = home
        self._parts = parts
        self.watches = Watches(inotify)
        self.index = TreeIndex(self.watches)

    def scan_all(self, budget: ScanBudget) -> None:
        """Scan everything. Raises TooMuch or OSError."""
        fd = os.open(self._home, OPEN_FOLDER)
        try:
            self.index.root.inode = os.fstat(fd).st_ino
            self._scan_folder(self.index.root, fd, 0, budget)
        finally:
            os.close(fd)

    def scan_names(self, folder: Folder, names: Iterable[str], budget: ScanBudget) -> None:
        """Scan these entries of a folder, and everything in those that are new folders. Raises TooMuch or OSError."""
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
                self._scan_entry(folder, fd, name, depth, budget)
        finally:
            os.close(fd)

    def _scan_folder(self, folder: Folder, fd: int, depth: int, budget: ScanBudget) -> None:
        """Scan every entry of a folder, and its folders."""
        if depth > MAX_DEPTH:
            raise TooMuch("too_deep")
        self.watches.begin(folder, fd)
        found = set()
        for entry in _entries_in(fd, budget):
            budget.spend()
            name = entry.name
            # The listing tells the kind of an entry, so an entry that does not count costs no further system call.
            if entry.is_file(follow_symlinks=False) and name not in folder.folders:
                if not self._is_part(name) and self._scan_file(folder, entry):
                    found.add(name)
            elif entry.is_dir(follow_symlinks=False) and is_left_out(name):
                continue
            elif not entry.is_symlink():
                self._scan_entry(folder, fd, name, depth, budget, is_whole=True)
                found.add(name)
        for name in (folder.files.keys() | folder.folders.keys()) - found:
            budget.spend()
            self.index.forget(folder, name, budget)

    def _scan_file(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        """Scan an entry that was a file in the listing; false if it is gone."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return False
        self.index.set_file(folder, entry.name, state_of(status))
        return True

    def _scan_entry(
        self,
        folder: Folder,
        fd: int,
        name: str,
        depth: int,
        budget: ScanBudget,
        is_whole: bool = False,
    ) -> None:
        """Scan one entry. A folder that is known and watched is entered only with `is_whole`."""
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            self.index.forget(folder, name, budget)
            return
        is_file = stat.S_ISREG(status.st_mode) and not self._is_part(name)
        self.index.set_file(folder, name, state_of(status) if is_file else None)
        is_folder = stat.S_ISDIR(status.st_mode) and not is_left_out(name)
        known = folder.folders.get(name)
        if known and not (is_folder and known.inode == status.st_ino):
            self.index.drop(folder, name, budget)
            known = None
        if is_folder and (is_whole or known is None or known.watch is None):
            if known is None:
                known = self.index.add_folder(folder, name, status.st_ino)
            self._enter(known, fd, depth, budget)

    def _enter(self, folder: Folder, parent_fd: int, depth: int, budget: ScanBudget) -> None:
        try:
            fd = os.open(folder.name, OPEN_FOLDER, dir_fd=parent_fd)
        except OSError:
            # The folder was replaced, which has an event of its own. Or code has forbidden access to it: then its
            # entries count as unchanged.
            return
        try:
            if os.fstat(fd).st_ino == folder.inode:
                self._scan_folder(folder, fd, depth + 1, budget)
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
            # Code has forbidden access. Once access is allowed again, everything in the folder is scanned.
            folder.watch = None
        except OSError:
            # The folder is gone.
            folder.watch = None
        os.close(fd)
        return None


def _entries_in(fd: int, budget: ScanBudget) -> list[os.DirEntry[str]]:
    """The entries of a folder. Raises TooMuch if there are more than MAX_ENTRIES."""
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            budget.spend()
            found.append(entry)
            if len(found) > MAX_ENTRIES:
                raise TooMuch("too_many_entries")
    return found


class TreeIndex:
    """The folders and files of the last scan, and how they changed since `record`. Nothing here reads a disk.

    Raises TooMuch when there are more than MAX_ENTRIES, or when a budget is used up.
    """

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._before: dict[tuple[Folder, str], FileState | None] | None = None
        self.root = Folder(None, "", 0)
        # The number of files and folders.
        self.entries = 0

    def record(self) -> None:
        """Record the changes from now on."""
        self._before = {}

    def recorded(self) -> Iterator[tuple[Folder, str, FileState | None]]:
        """The earlier state of each changed file (None: it was missing), by folder and name; ends the recording."""
        before, self._before = self._before or {}, None
        for (folder, name), was in before.items():
            yield folder, name, was

    def place_of(self, path: str) -> tuple[Folder, str]:
        """The folder and the name to scan for a path: its own, or those of the first unknown folder above it."""
        *above, name = path.split("/")
        folder = self.root
        for part in above:
            inner = folder.folders.get(part)
            if inner is None:
                return folder, part
            folder = inner
        return folder, name

    def add_folder(self, parent: Folder, name: str, inode: int) -> Folder:
        """Note that there is a folder of this name."""
        folder = parent.folders[name] = Folder(parent, name, inode)
        self._count(1)
        return folder

    def set_file(self, folder: Folder, name: str, state: FileState | None) -> None:
        """Note the state of the file that has this name now; None: no file has it."""
        was = folder.files.get(name)
        if was == state:
            return
        if self._before is not None:
            self._before.setdefault((folder, name), was)
        if state is None:
            del folder.files[name]
            self._count(-1)
            return
        folder.files[name] = state
        if was is None:
            self._count(1)

    def drop(self, parent: Folder, name: str, budget: ScanBudget) -> None:
        """Forget the folder of this name, if one is known: it is gone, or was replaced by another one."""
        folder = parent.folders.pop(name, None)
        if folder is None:
            return
        self._count(-1)
        folder.is_attached = False
        self._watches.end(folder)
        for file in list(folder.files):
            budget.spend()
            self.set_file(folder, file, None)
        for inner in list(folder.folders):
            budget.spend()
            self.drop(folder, inner, budget)

    def forget(self, parent: Folder, name: str, budget: ScanBudget) -> None:
        """Forget the file or folder of this name: nothing that counts has the name any more."""
        self.set_file(parent, name, None)
        self.drop(parent, name, budget)

    def _count(self, more: int) -> None:
        self.entries += more
        if self.entries > MAX_ENTRIES:
            raise TooMuch("too_many_entries")


class FileState(NamedTuple):
    """A regular file at a scan. If one of these fields differs, the file was modified."""

    size: int
    mtime_ns: int
    inode: int


class Folder:
    """A folder that was scanned, and its entries at that time."""

    __slots__ = ("parent", "name", "inode", "watch", "files", "folders", "is_attached")

    def __init__(self, parent: Folder | None, name: str, inode: int) -> None:
        self.parent = parent
        self.name = name
        self.inode = inode
        # None if nothing reports its changes: it could not be read, or there is no inotify.
        self.watch: int | None = None
        self.files: dict[str, FileState] = {}
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


def state_of(status: os.stat_result) -> FileState:
    """The part of a file's metadata that shows whether it was modified."""
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino)


class Watches:
    """The watches of folders, each with its folder. Without inotify, nothing is watched."""

    def __init__(self, inotify: Inotify | None) -> None:
        self._inotify = inotify
        self._folders: dict[int, Folder] = {}
        # False without inotify, and once a folder could not be watched.
        self.are_complete = inotify is not None

    def folder_of(self, watch: int) -> Folder | None:
        """The folder of a watch, if it was not dropped meanwhile."""
        return self._folders.get(watch)

    def has_ended(self, watch: int) -> None:
        """The watch is gone with its folder. Another folder may have the same name by now, and even the same inode."""
        folder = self._folders.pop(watch, None)
        if folder:
            folder.watch = None

    def begin(self, folder: Folder, fd: int) -> None:
        """Watch a folder before looking into it, so that nothing is missed."""
        if self._inotify is None or not self.are_complete:
            return
        if folder.watch is None and len(self._folders) >= MAX_WATCHES:
            self.are_complete = False
            return
        os.fchdir(fd)
        try:
            folder.watch = self._inotify.watch_working_folder()
        except OSError:
            self.are_complete = False
            return
        finally:
            # Leave the folder: after its removal, the working folder of a process would stay, and so would its watch.
            os.chdir("/")
        self._folders[folder.watch] = folder

    def end(self, folder: Folder) -> None:
        """Stop watching a folder."""
        if folder.watch is not None and self._folders.get(folder.watch) is folder:
            del self._folders[folder.watch]
            if self._inotify:
                self._inotify.unwatch(folder.watch)


class TooMuch(Exception):
    """The scan is over one of its limits. docs/internals/worker-protocol.md lists the values of `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ScanBudget:
    """An amount of CPU time that this thread may spend from now on.

    gVisor counts CPU time in steps of 10 ms, each of which goes to the thread that happens to run. So the budget is
    used up only when the same amount of time has also passed by the clock.
    """

    def __init__(self, cpu_ms: float) -> None:
        seconds = cpu_ms / 1_000
        self._cpu_until = time.thread_time() + seconds
        self._until = time.monotonic() + seconds
        self._count = 0

    def spend(self) -> None:
        """Count one entry or event; raises TooMuch."""
        self._count += 1
        if self._count % ENTRIES_PER_CLOCK_READING == 0 and self._is_over():
            raise TooMuch("too_slow")

    def _is_over(self) -> bool:
        return time.monotonic() > self._until and time.thread_time() > self._cpu_until
