"""Unpacks a tar archive into a folder. Only files and folders come out of it, each below the folder.

An archive is refused at the first member that is anything else. The files that came before it stay, each of them whole.
"""

from __future__ import annotations

import os
import select

from cellhouse_files.archives.tar_header import (
    BLOCK_BYTES,
    CONTIGUOUS,
    FILE,
    FOLDER,
    LONG_LINK,
    LONG_NAME,
    OLD_FILE,
    PAX,
    PAX_GLOBAL,
    Header,
    padding,
    parse_header,
)
from cellhouse_files.operations.files import NEW_FOLDER_MODE, make_folders
from cellhouse_files.paths import MAX_NAME_BYTES, MAX_PATH_BYTES, Place, open_folder, path_field
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields, State, required
from cellhouse_files.turns import Turns, Wait
from cellhouse_files.writing import Precondition, Writing

# More than a worker's disk holds. Headers without a member count, too.
MAX_MEMBERS = 100_000
# The most bytes of a long name, or of a member's PAX properties.
MAX_EXTRA_BYTES = 65_536
FOLDER_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Whatever mode the archive gives to a file, its user can read and write it.
LEAST_MODE = 0o600
MAX_FILE_BYTES = 2**62
# In seconds since 1970: the year 2242.
LAST_TIME = 2**33
# About the capacity of a pipe.
PIECE_BYTES = 65_536
# After this many pieces of a fast stream, other operations have a turn.
PIECES_PER_TURN = 16


def write_archive(state: State, fields: Fields, descriptor: int | None) -> Turns[Answer]:
    """Unpack the archive that comes from the descriptor. The folder is made if it does not exist."""
    source = Source(required(descriptor))
    path = path_field(fields)
    yield from make_folders(path)
    unpacking = Unpacking(state, path, open_folder(path), source)
    try:
        yield from unpacking.run()
    finally:
        unpacking.close()
    return Answer({"files": unpacking.files, "size": unpacking.size})


class Unpacking:
    """Unpacks one archive, and counts the files and their bytes. Owns `root`."""

    def __init__(self, state: State, path: bytes, root: int, source: Source) -> None:
        self._state = state
        self.files = 0
        self.size = 0
        self._path = path
        self._root = root
        self._source = source
        # The folder of the last member, which the next one often shares.
        self._parts: list[bytes] = []
        self._folder = os.dup(root)

    def close(self) -> None:
        """Close the folders."""
        os.close(self._root)
        os.close(self._folder)

    def run(self) -> Turns[None]:
        """Unpack every member."""
        name: bytes | None = None
        extra: dict[bytes, bytes] = {}
        for _ in range(MAX_MEMBERS):
            header = parse_header((yield from self._source.exactly(BLOCK_BYTES)))
            if header is None:
                yield from self._source.skip_rest()
                return
            if header.kind == LONG_NAME:
                name = (yield from self._extra(header)).rstrip(b"\0")
            elif header.kind in (LONG_LINK, PAX_GLOBAL):
                yield from self._extra(header)
            elif header.kind == PAX:
                extra = _records((yield from self._extra(header)))
            else:
                path = extra.get(b"path", name if name is not None else header.name)
                size = _size(extra.get(b"size"), header.size)
                yield from self._unpack(header, _parts_of(path), size)
                name, extra = None, {}
            yield None
        raise Refused("too_large", f"The archive has more than {MAX_MEMBERS} members.")

    def _unpack(self, header: Header, parts: list[bytes], size: int) -> Turns[None]:
        if header.kind == FOLDER or (header.kind == OLD_FILE and header.name.endswith(b"/")):
            self._enter(parts)
        elif header.kind in (FILE, OLD_FILE, CONTIGUOUS):
            if not parts:
                raise Refused("bad_archive", "A file in the archive has no name.")
            yield from self._unpack_file(header, parts, size)
        else:
            # Links could lead out of the folder, and a user has no use for devices and the like.
            raise Refused("bad_archive", "The archive has something that is no file or folder.")

    def _unpack_file(self, header: Header, parts: list[bytes], size: int) -> Turns[None]:
        self._enter(parts[:-1])
        path = b"/".join((self._path.rstrip(b"/"), *parts))
        place = Place(os.dup(self._folder), parts[-1])
        try:
            writing = Writing(path, place, Precondition(), self._state.parts)
        except (OSError, Refused):
            os.close(place.folder)
            raise
        try:
            yield from self._source.copy(size, writing.descriptor)
            yield from self._source.exactly(len(padding(size)))
            os.fchmod(writing.descriptor, header.mode | LEAST_MODE)
            time = min(header.modified_at, LAST_TIME)
            os.utime(writing.descriptor, (time, time))
            with self._state.touching(place):
                writing.finish()
        finally:
            os.close(writing.descriptor)
            writing.give_up()
        self.files += 1
        self.size += size

    def _enter(self, parts: list[bytes]) -> None:
        """Go to a folder below the root, and make the missing folders. No link is followed."""
        if parts == self._parts:
            return
        os.close(self._folder)
        self._folder, self._parts = os.dup(self._root), parts
        for part in parts:
            try:
                os.mkdir(part, NEW_FOLDER_MODE, dir_fd=self._folder)
            except FileExistsError:
                # If this is not a folder, the next step fails.
                pass
            below = os.open(part, FOLDER_FLAGS, dir_fd=self._folder)
            os.close(self._folder)
            self._folder = below

    def _extra(self, header: Header) -> Turns[bytes]:
        if header.size > MAX_EXTRA_BYTES:
            raise Refused("bad_archive", "A name in the archive is too long.")
        data = yield from self._source.exactly(header.size)
        yield from self._source.exactly(len(padding(header.size)))
        return data


def _parts_of(path: bytes) -> list[bytes]:
    """The names of a member's path, which must stay below the folder; raises Refused."""
    if path.startswith(b"/") or b"\0" in path or len(path) > MAX_PATH_BYTES:
        raise Refused("bad_archive", "A path in the archive is absolute, or too long.")
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts or any(len(part) > MAX_NAME_BYTES for part in parts):
        raise Refused("bad_archive", "A path in the archive has '..', or a name that is too long.")
    return parts


def _records(data: bytes) -> dict[bytes, bytes]:
    """The properties in a PAX header: `<length> <key>=<value>\\n` each; raises Refused."""
    records: dict[bytes, bytes] = {}
    while data:
        digits, _, _ = data.partition(b" ")
        if not digits.isdigit() or len(digits) > 6:
            raise Refused("bad_archive", "A property in the archive is malformed.")
        if int(digits) > len(data):
            raise Refused("bad_archive", "A property in the archive is cut.")
        record, data = data[len(digits) + 1 : int(digits)], data[int(digits) :]
        key, found, value = record.partition(b"=")
        if not found or not value.endswith(b"\n"):
            raise Refused("bad_archive", "A property in the archive is malformed.")
        records[key] = value[:-1]
    return records


def _size(text: bytes | None, size: int) -> int:
    """The size of a member: the one in its PAX properties, if they have one."""
    if text is not None:
        if not text.isdigit() or len(text) > 19:
            raise Refused("bad_archive", "A size in the archive is malformed.")
        size = int(text)
    if size > MAX_FILE_BYTES:
        raise Refused("bad_archive", "A size in the archive is malformed.")
    return size


class Source:
    """Reads from a pipe in turns, since the process at its other end may be slow.

    It never reads more than it was asked for.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def exactly(self, count: int) -> Turns[bytes]:
        """The next bytes; raises Refused if the archive ends before."""
        data = bytearray()
        while len(data) < count:
            data += yield from self._some(count - len(data))
        return bytes(data)

    def copy(self, count: int, target: int) -> Turns[None]:
        """Write the next bytes to a file; raises OSError when the disk is full."""
        pieces = 0
        while count:
            piece = memoryview((yield from self._some(min(count, PIECE_BYTES))))
            count -= len(piece)
            while piece:
                piece = piece[os.write(target, piece) :]
            pieces += 1
            if pieces % PIECES_PER_TURN == 0:
                yield None

    def skip_rest(self) -> Turns[None]:
        """Read to the end: only padding follows the archive's own end."""
        while (yield from self._read(PIECE_BYTES)):
            yield None

    def _some(self, count: int) -> Turns[bytes]:
        data = yield from self._read(count)
        if not data:
            raise Refused("bad_archive", "The archive is incomplete.")
        return data

    def _read(self, count: int) -> Turns[bytes]:
        while True:
            try:
                return os.read(self._fd, count)
            except BlockingIOError:
                yield Wait(self._fd, select.POLLIN)
