"""Snapshots of a watched folder, and the events between two of them.

A snapshot is the metadata of the folder and of everything in it, at one moment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from cellhouse_files.paths import open_path
from cellhouse_files.refusals import Refused
from cellhouse_files.turns import Turns

# The limits of one watcher. Each entry costs a few hundred bytes and its path while the watcher lives, and time at each
# look.
MAX_WATCHED_ENTRIES = 10_000
MAX_WATCHED_PATH_BYTES = 1_048_576
# A turn takes a few milliseconds. Opening a folder takes as long as looking at several entries.
EFFORT_PER_TURN = 1_000
EFFORT_OF_FOLDER = 10
TOO_MANY = "too_many_watched"
# A folder that changes while it is read is read again, since an entry renamed meanwhile may be seen under neither name.
# A folder that changes all the time is taken as it was read last.
MAX_READINGS = 3
READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY
# The watched folder itself.
ROOT = b""
# The kinds of events.
CREATE, WRITE, REMOVE, RENAME, CHMOD = "create", "write", "remove", "rename", "chmod"


class Node(NamedTuple):
    """One entry. Links are not followed."""

    mode: int
    device: int
    inode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int

    @property
    def kind(self) -> int:
        """What the entry is, as in its mode."""
        return stat.S_IFMT(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return stat.S_ISDIR(self.mode)

    def is_same_thing(self, other: Node | None) -> bool:
        """Whether both are the same file or folder, whatever has become of it."""
        return other is not None and (self.kind, self.device, self.inode) == (
            other.kind,
            other.device,
            other.inode,
        )


# By the path from the watched folder.
type Snapshot = dict[bytes, Node]


def node_of(status: os.stat_result) -> Node:
    """The part of an entry's metadata that watchers compare."""
    return Node(
        status.st_mode,
        status.st_dev,
        status.st_ino,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
    )


class FolderScan:
    """Looks at a folder, and with `is_recursive` also into the folders below. `hidden`: names that do not count."""

    def __init__(self, path: bytes, is_recursive: bool, hidden: Container[bytes]) -> None:
        self._path = path
        self._is_recursive = is_recursive
        self._hidden = hidden
        self._found: Snapshot = {}
        self._path_bytes = 0
        self._pending: list[bytes] = []
        # Folders that could not be read.
        self._closed: set[bytes] = set()
        self._effort = 0

    def run(self, before: Snapshot) -> Turns[Snapshot]:
        """Look at everything; raises OSError or Refused.

        If a folder below cannot be read, its entries are taken from `before`: the user may not read it, or it was
        removed or renamed meanwhile. The next look reports that.
        """
        yield from self._scan(ROOT)
        while self._pending:
            folder = self._pending.pop()
            try:
                yield from self._scan(folder)
            except OSError:
                self._closed.add(folder)
            except Refused as refused:
                # File systems that are not the session's are left out.
                if refused.code == TOO_MANY:
                    raise
        yield from self._keep(before)
        return self._found

    def _scan(self, folder: bytes) -> Turns[None]:
        with _opened(self._path, folder) as fd:
            before = (len(self._found), len(self._pending), self._path_bytes)
            try:
                for _ in range(MAX_READINGS):
                    self._go_back_to(*before)
                    if (yield from self._read(fd, folder)):
                        return
            except OSError:
                self._go_back_to(*before)
                raise

    def _read(self, fd: int, folder: bytes) -> Turns[bool]:
        """Add the entries of a folder. False if it has changed meanwhile."""
        status = os.fstat(fd)
        self._found[folder] = node_of(status)
        if self._has_had_its_turn(EFFORT_OF_FOLDER):
            yield None
        is_whole = True
        with os.scandir(fd) as entries:
            for name, node in _nodes_in(entries, self._hidden):
                if node:
                    self._add(_joined(folder, name), node)
                is_whole = is_whole and node is not None
                if self._has_had_its_turn(1):
                    yield None
        return is_whole and os.fstat(fd).st_mtime_ns == status.st_mtime_ns

    def _go_back_to(self, found: int, pending: int, path_bytes: int) -> None:
        """Forget everything that was added after these numbers were taken."""
        while len(self._found) > found:
            self._found.popitem()
        del self._pending[pending:]
        self._path_bytes = path_bytes

    def _add(self, path: bytes, node: Node) -> None:
        self._count(path, node)
        if self._is_recursive and node.is_folder:
            self._pending.append(path)

    def _count(self, path: bytes, node: Node) -> None:
        self._found[path] = node
        self._path_bytes += len(path)
        # The watched folder itself does not count.
        is_too_many = len(self._found) > MAX_WATCHED_ENTRIES + 1
        if is_too_many or self._path_bytes > MAX_WATCHED_PATH_BYTES:
            raise Refused(TOO_MANY, "There are too many entries.")

    def _keep(self, before: Snapshot) -> Turns[None]:
        """Take entries of unreadable folders from `before`: as far as anybody can tell, they have not changed."""
        closed = {
            folder
            for folder in self._closed
            if self._found[folder].is_same_thing(before.get(folder))
        }
        if not closed:
            return
        for path, node in before.items():
            if any(folder in closed for folder in _folders_above(path)):
                self._count(path, node)
            if self._has_had_its_turn(1 + path.count(b"/")):
                yield None

    def _has_had_its_turn(self, effort: int) -> bool:
        self._effort += effort
        if self._effort < EFFORT_PER_TURN:
            return False
        self._effort = 0
        return True


@contextmanager
def _opened(path: bytes, folder: bytes) -> Iterator[int]:
    """Open the watched folder, or a folder below it. Only the path of the watched folder may lead through links."""
    if folder:
        fd = open_path(path.rstrip(b"/") + b"/" + folder, READ_FOLDER | os.O_NOFOLLOW)
    else:
        fd = open_path(path, READ_FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


def _nodes_in(
    entries: Iterator[os.DirEntry[str]], hidden: Container[bytes]
) -> Iterator[tuple[bytes, Node | None]]:
    """The entries of a folder; raises PermissionError. None: the entry has gone meanwhile."""
    for entry in entries:
        name = os.fsencode(entry.name)
        if name in hidden:
            continue
        try:
            yield name, node_of(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            yield name, None
        except PermissionError:
            # The user may list the folder, but not look at its entries.
            raise
        except OSError:
            continue


def _folders_above(path: bytes) -> Iterator[bytes]:
    """All folders between the watched one and this entry."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


class Event(NamedTuple):
    """Something that has happened to the entry of this name, which is relative to the watched folder."""

    kind: str
    name: bytes


class _Moves:
    """Which entries have another name now."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._before = before
        # The entries that are gone from their paths, and those that are new at their paths.
        self.left = {p: n for p, n in before.items() if not n.is_same_thing(after.get(p))}
        self.arrived = {p: n for p, n in after.items() if not n.is_same_thing(before.get(p))}
        self.origins: dict[bytes, bytes] = {}
        self.goals: dict[bytes, bytes] = {}
        # The new paths of entries that have moved with a folder above them.
        self.implied: set[bytes] = set()
        self._find()

    def _find(self) -> None:
        by_identity: dict[tuple[int, ...], list[bytes]] = {}
        for path, node in sorted(self.left.items(), reverse=True):
            by_identity.setdefault(_identity(node), []).append(path)
        # A folder comes before its entries.
        for path, node in sorted(self.arrived.items()):
            if self._has_moved_along(path, node):
                continue
            candidates = by_identity.get(_identity(node), [])
            while candidates:
                old = candidates.pop()
                if old not in self.goals:
                    self._note(old, path)
                    break

    def _has_moved_along(self, path: bytes, node: Node) -> bool:
        folder, _, name = path.rpartition(b"/")
        if folder not in self.origins:
            return False
        old = self.origins[folder] + b"/" + name
        if old in self.goals or not node.is_same_thing(self.left.get(old)):
            return False
        self._note(old, path)
        self.implied.add(path)
        return True

    def _note(self, old: bytes, new: bytes) -> None:
        self.origins[new] = old
        self.goals[old] = new


def differences(before: Snapshot, after: Snapshot) -> list[Event]:
    """The events that lead from one snapshot to the other, in the words of inotify. Nothing here looks at a disk.

    A file or folder that has another name now is a RENAME of the old name and a CREATE of the new one, as inotify has
    it. A file is known by its inode, its time and its size, since a new file may get the inode of one that is gone. A
    folder is known by its inode alone, since its time and its size change with its entries. The entries of a renamed
    folder have moved with it, which is no event.

    The events of entries that are gone come first, each entry before its folder. Then those of present entries follow,
    each folder before its entries.
    """
    moves = _Moves(before, after)
    return [*_departures(moves, after), *_presences(moves, before, after)]


def _departures(moves: _Moves, after: Snapshot) -> list[Event]:
    events = []
    for path, node in sorted(moves.left.items(), reverse=True):
        goal = moves.goals.get(path)
        if goal is not None:
            if goal not in moves.implied:
                events.append(Event(RENAME, path))
        elif path not in after or not _is_replaced(node, path, moves):
            events.append(Event(REMOVE, path))
    return events


def _is_replaced(node: Node, path: bytes, moves: _Moves) -> bool:
    """Whether another entry has taken its place at once. That is not a removal."""
    return path in moves.origins or (node.is_file and moves.arrived[path].is_file)


def _presences(moves: _Moves, before: Snapshot, after: Snapshot) -> list[Event]:
    events = []
    for path, node in sorted(after.items()):
        was = before.get(moves.origins.get(path, path))
        if path not in moves.arrived or path in moves.implied:
            events += _changes(path, was, node)
        elif path in moves.origins:
            events += [Event(CREATE, path), *_changes(path, was, node)]
        elif was and was.is_file and node.is_file and path not in moves.goals:
            # A program that writes a new file and gives it the name of the old one has written the file.
            events += [Event(WRITE, path), *_changes_of_mode(path, was, node)]
        else:
            events.append(Event(CREATE, path))
            if node.is_file and node.size > 0:
                events.append(Event(WRITE, path))
    return events


def _changes(path: bytes, was: Node | None, node: Node) -> list[Event]:
    """The events of an entry that was there before."""
    if was is None:
        return []
    is_written = node.is_file and (was.size, was.mtime_ns) != (node.size, node.mtime_ns)
    written = [Event(WRITE, path)] if is_written else []
    return [*written, *_changes_of_mode(path, was, node)]


def _changes_of_mode(path: bytes, was: Node, node: Node) -> list[Event]:
    is_changed = (was.mode, was.uid, was.gid) != (node.mode, node.uid, node.gid)
    return [Event(CHMOD, path)] if is_changed else []


def _identity(node: Node) -> tuple[int, ...]:
    """The metadata that stays the same when an entry gets another name."""
    if node.is_folder:
        return node.kind, node.device, node.inode
    return node.kind, node.device, node.inode, node.mtime_ns, node.size
