"""A folder as a tar or zip archive, made while it is read."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from cellhouse_files.archives.stream import Sink
from cellhouse_files.archives.tar_header import (
    BLOCK_BYTES,
    FILE,
    FOLDER,
    SYMLINK,
    Header,
    header_bytes,
    padding,
)
from cellhouse_files.archives.walk import Found, walk
from cellhouse_files.fields import path_field
from cellhouse_files.parts import Parts
from cellhouse_files.paths import open_path
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields
from cellhouse_files.state import State
from cellhouse_files.turns import Turns

FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
END = b"\0" * (2 * BLOCK_BYTES)
ZIP_PIECE_BYTES = 262_144
# The least that deflate can do: the archive is made while somebody waits.
ZIP_LEVEL = 1
# In a zip archive, times have steps of two seconds, and are from 1980 to 2107. Code can give a file any time.
ZIP_FIRST_YEAR = 1980
LAST_SECOND = 2**32


def read_archive(state: State, fields: Fields, descriptor: int | None) -> Turns[Answer]:
    """Write a folder's archive to the descriptor. FIFOs, sockets and devices are left out; zip has no links either."""
    if descriptor is None:
        raise Refused("busy", "There is no descriptor.")
    folder = open_path(path_field(fields), os.O_RDONLY | os.O_DIRECTORY)
    make = _write_zip if fields["format"] == "zip" else _write_tar
    yield from make(_members(folder, state.parts), Sink(descriptor))
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
    """Keeps what zipfile writes until it is taken."""

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
        """What was written since the last time."""
        data, self._data = self._data, bytearray()
        return data


def _zip_time(modified_at: float) -> tuple[int, int, int, int, int, int]:
    seconds = min(max(0.0, modified_at), LAST_SECOND)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return max(year, ZIP_FIRST_YEAR), month, day, hour, minute, second


def _members(folder: int, parts: Parts) -> Iterator[Found]:
    """What an archive can hold: files, folders and links, but not files that are just being written."""
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
        raise Refused("busy", "A file was exchanged while the folder was read.")
    return file, status.st_size
