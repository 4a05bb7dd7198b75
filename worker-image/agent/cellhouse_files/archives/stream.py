"""Reads from and writes to a pipe in turns (turns.py), since the process at the other end may be slow."""

from __future__ import annotations

import os
import select

from cellhouse_files.refusals import Refused
from cellhouse_files.turns import Turns, Wait

# About the capacity of a pipe.
PIECE_BYTES = 65_536
SEND_BYTES = 1_048_576
# After this many pieces of a fast stream, other operations have a turn.
PIECES_PER_TURN = 16


class Sink:
    """Writes to a pipe. Raises BrokenPipeError, an OSError, when nobody reads any more."""

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


class Source:
    """Reads from a pipe, and never more than it was asked for."""

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
        """Read to the end: what follows the archive's own end is padding."""
        while (yield from self._read(PIECE_BYTES)):
            yield None

    def _some(self, count: int) -> Turns[bytes]:
        data = yield from self._read(count)
        if not data:
            raise Refused("bad_archive", "The archive has no end.")
        return data

    def _read(self, count: int) -> Turns[bytes]:
        while True:
            try:
                return os.read(self._fd, count)
            except BlockingIOError:
                yield Wait(self._fd, select.POLLIN)
