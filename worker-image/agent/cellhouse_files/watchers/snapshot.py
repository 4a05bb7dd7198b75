"""What a watcher sees of its folder at one moment: the metadata of the folder and of all that is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from cellhouse_files.paths import open_path
from cellhouse_files.refusals import Refused
from cellhouse_files.turns import Turns

# The limits of one watcher. Each entry costs some hundred bytes and its path while the watcher lives, and time at each
# look.
MAX_WATCHED_ENTRIES = 10_000
MAX_WATCHED_PATH_BYTES = 1_048_576
# A turn is some milliseconds. Opening a folder takes as long as looking at some entries.
EFFORT_PER_TURN = 1_000
EFFORT_OF_FOLDER = 10
TOO_MANY = "too_many_watched"
# A folder that changes while it is read is read again, since what is renamed meanwhile may be seen under neither name.
# One that changes all the time is taken as it was read last.
MAX_READINGS = 3
READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY
# The watched folder itself.
ROOT = b""


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


class Look:
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
        removed or renamed meanwhile. The next look tells of that.
        """
        yield from self._look_into(ROOT)
        while self._pending:
            folder = self._pending.pop()
            try:
                yield from self._look_into(folder)
            except OSError:
                self._closed.add(folder)
            except Refused as refused:
                # File systems that are not the session's are left out.
                if refused.code == TOO_MANY:
                    raise
        yield from self._keep(before)
        return self._found

    def _look_into(self, folder: bytes) -> Turns[None]:
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
        """Add what is in a folder. False if it has changed meanwhile."""
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
    """Open a folder below the watched one. Only the way to the watched one may lead over links."""
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
