"""Reads what a command writes, byte for byte, and tells text from other bytes."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable

from cellhouse_agent.user_pipes import TO_WRITE, open_to_user

# The most bytes of one read. After it, other work of the agent gets its turn.
READ_BYTES = 65_536
# The size of a pipe, if the system does not report it: the most that Linux allows a user by default.
MAX_PIPE_BYTES = 1_048_576
# The length of the longest UTF-8 character.
MAX_CHARACTER_BYTES = 4

# Takes bytes, and whether they are text.
type Take = Callable[[bytes, bool], None]


class OutputReader:
    """Reads what a command writes. The agent always keeps reading, so a command need not wait for the agent.

    If text ends in an incomplete character, that character (at most three bytes) is passed on with the next bytes.
    """

    def __init__(self, reading: int, take: Take) -> None:
        """It owns `reading`, and makes it non-blocking."""
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._held = b""
        self._reading = reading
        os.set_blocking(reading, False)

    def begin(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._reading, self._read)

    def read_rest(self) -> None:
        """Read all that was written before now, and no more: another command may be writing into the same pipe."""
        size = self._size()
        while size > 0 and self._reading >= 0 and (count := self._read()) > 0:
            size -= count
        self._tell()
        if self._held:
            self._take(self._held, False)
            self._held = b""

    def _tell(self) -> None:
        """Hook: hand on what was gathered."""

    def close(self) -> None:
        """Read no more. A process that still writes gets SIGPIPE or EPIPE."""
        if self._reading >= 0:
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._reading = -1

    def _size(self) -> int:
        """The most bytes that the pipe can hold."""
        try:
            return fcntl.fcntl(self._reading, fcntl.F_GETPIPE_SZ) if self._reading >= 0 else 0
        except OSError:
            return MAX_PIPE_BYTES

    def _read(self) -> int:
        """Read what is available, up to READ_BYTES; returns the number of bytes."""
        try:
            data = os.read(self._reading, READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError:
            # Nobody has the terminal open.
            data = b""
        if not data:
            self.close()
            return 0
        self._hand_on(data)
        return len(data)

    def _hand_on(self, data: bytes) -> None:
        whole, self._held = split_incomplete(self._held + data)
        if whole:
            self._take(whole, _is_text(whole))


class OutputPipe(OutputReader):
    """A pipe that a command writes into."""

    def __init__(self, take: Take) -> None:
        """Raises OSError."""
        reading, self._writing = os.pipe2(os.O_CLOEXEC)
        super().__init__(reading, take)
        open_to_user(self._writing, TO_WRITE)

    @property
    def writing(self) -> int:
        """The command's end, until `begin`."""
        return self._writing

    def begin(self) -> None:
        """The command has its own copy of the writing end: close this one, and read."""
        self._close_writing()
        super().begin()

    def close(self) -> None:
        """See OutputReader."""
        self._close_writing()
        super().close()

    def _close_writing(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1


def split_incomplete(data: bytes) -> tuple[bytes, bytes]:
    """The data up to its last complete character, and the beginning of an incomplete one."""
    for length in range(1, min(MAX_CHARACTER_BYTES, len(data) + 1)):
        last = data[-length]
        if last & 0xC0 == 0x80:
            continue
        return (data[:-length], data[-length:]) if _needed(last) > length else (data, b"")
    return data, b""


def _needed(first: int) -> int:
    """How many bytes a character with this first byte has; 1 if no character begins with it."""
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        return 3
    return 4 if 0xF0 <= first <= 0xF4 else 1


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
