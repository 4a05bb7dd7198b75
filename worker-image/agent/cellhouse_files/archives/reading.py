"""A folder as a tar or zip archive, made while it is read."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from cellhouse_files.archives.tar_header import (
    BLOCK_BYTES,
    FILE,
    FOLDER,
    SYMLINK,
    Header,
    header_bytes,
    padding,
)
from cellhouse_files.paths import MAX_PATH_BYTES, open_path, path_field, step
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields, State, required
from cellhouse_files.turns import Turns, Wait
from cellhouse_files.writing import Parts

FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
END = b"\0" * (2 * BLOCK_BYTES)
ZIP_PIECE_BYTES = 262_144
# Deflate's quickest level: somebody waits for the archive.
ZIP_LEVEL = 1
# In a zip archive, times are from 1980 to 2107; 2**32 seconds end in 2106. Code can give a file any time.
ZIP_FIRST_YEAR = 1980
LAST_SECOND = 2**32
SEND_BYTES = 1_048_576
# More than there are files on a worker's disk.
MAX_MEMBERS = 100_000


def read_archive(state: State, fields: Fields, descriptor: int | None) -> Turns[Answer]:
    """Write a folder's archive to the descriptor. FIFOs, sockets and devices are left out; zip has no links either."""
    sink = Sink(required(descriptor))
    folder = open_path(path_field(fields), os.O_RDONLY | os.O_DIRECTORY)
    make = _write_zip if fields["format"] == "zip" else _write_tar
    yield from make(_members(folder, state.parts), sink)
    return Answer({})


def _write_tar(members: Iterator[Found], sink: Sink) -> Turns[None]:
    for found in members:
        mode, modified_at = stat.S_IMODE(found.status.st_mode) & 0o777, int(found.status.st_mtime)
        if stat.S_ISDIR(found.status.st_mode):
            header = Header(found.path + b"/", FOLDER, 0, mode, modified_at)
            yield from sink.write(header_bytes(header))
        elif stat.S_ISLNK(found.status.st_mode):
            link = os.readlink(found.name, dir_fd=found.folder)
            header = Header(found.path, SYMLINK, 0, mode, modified_at, link)
            yield from sink.write(header_bytes(header))
        else:
            file, size = _open(found)
            try:
                header = Header(found.path, FILE, size, mode, modified_at)
                yield from sink.write(header_bytes(header))
                yield from sink.send(file, size)
                yield from sink.write(padding(size))
            finally:
                os.close(file)
        yield None
    yield from sink.write(END)


def _write_zip(members: Iterator[Found], sink: Sink) -> Turns[None]:
    # Imported only where somebody wants a zip archive: it takes a megabyte.
    import zipfile

    buffer = _Buffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as archive:
        for found in members:
            if stat.S_ISLNK(found.status.st_mode):
                continue
            is_folder = stat.S_ISDIR(found.status.st_mode)
            name = found.path.decode(errors="backslashreplace") + "/" * is_folder
            info = zipfile.ZipInfo(name, _zip_time(found.status.st_mtime))
            info.external_attr = (found.status.st_mode & 0xFFFF) << 16
            if is_folder:
                archive.writestr(info, b"")
            else:
                info.compress_type = zipfile.ZIP_DEFLATED
                file, size = _open(found)
                try:
                    with archive.open(info, "w", force_zip64=size >= zipfile.ZIP64_LIMIT) as member:
                        for offset in range(0, size, ZIP_PIECE_BYTES):
                            count = min(ZIP_PIECE_BYTES, size - offset)
                            piece = os.pread(file, count, offset)
                            if len(piece) < count:
                                raise Refused("busy", "A file has become shorter meanwhile.")
                            member.write(piece)
                            yield from sink.write(buffer.taken())
                            yield None
                finally:
                    os.close(file)
            yield from sink.write(buffer.taken())
            yield None
    yield from sink.write(buffer.taken())


class _Buffer:
    """Keeps the bytes that zipfile writes until they are taken."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes, /) -> int:
        """Take bytes of the archive."""
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytearray:
        """The bytes that were written since the last call."""
        data, self._data = self._data, bytearray()
        return data


def _zip_time(modified_at: float) -> tuple[int, int, int, int, int, int]:
    seconds = min(max(0.0, modified_at), LAST_SECOND)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return max(year, ZIP_FIRST_YEAR), month, day, hour, minute, second


def _members(folder: int, parts: Parts) -> Iterator[Found]:
    """The members of an archive: files, folders and links, but not the parts of files that the API is writing."""
    for found in walk(folder):
        mode = found.status.st_mode
        is_kept = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
        if is_kept and found.name not in parts:
            yield found


def _open(found: Found) -> tuple[int, int]:
    """Open a file of the tree; returns its size, too. Raises Refused if it is not a regular file any more."""
    file = os.open(found.name, FILE_FLAGS, dir_fd=found.folder)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        os.close(file)
        raise Refused("busy", "A file was replaced while the folder was being read.")
    return file, status.st_size


class Sink:
    """Writes to a pipe in turns, since the process at its other end may be slow.

    Raises BrokenPipeError, an OSError, when nobody reads any more.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes | bytearray) -> Turns[None]:
        """Write all of it."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                yield Wait(self._fd, select.POLLOUT)

    def send(self, file: int, size: int) -> Turns[None]:
        """Write exactly this much of a file; raises Refused if it has become shorter."""
        offset = 0
        while offset < size:
            try:
                sent = os.sendfile(self._fd, file, offset, min(SEND_BYTES, size - offset))
            except BlockingIOError:
                yield Wait(self._fd, select.POLLOUT)
                continue
            if sent == 0:
                raise Refused("busy", "A file has become shorter while it was read.")
            offset += sent
            yield None


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
    """Everything below an open folder, each folder before its entries, names sorted. Closes `folder`.

    It needs one descriptor, however deep the tree is, and never follows a link.
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
            found = _entry_at(level.prefix, here, name)
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


def _entry_at(prefix: bytes, here: int, name: bytes) -> Found | None:
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
