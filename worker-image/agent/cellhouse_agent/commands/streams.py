"""A command's standard input, output and error, as pipes. With a terminal, terminal.py takes their place."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from cellhouse_agent.commands.command import Standard
from cellhouse_agent.executions.inputs import InputBuffer
from cellhouse_agent.processes.children import TO_READ, TO_WRITE, open_to_user

# Takes the name of an output, bytes, and whether they are text.
type TakeOutput = Callable[[str, bytes, bool], None]


class Streams(Protocol):
    """States: given to the command -> begun -> closed."""

    @property
    def given(self) -> Standard:
        """The descriptors for the command, until `begin`. This object closes them."""

    def begin(self) -> None:
        """The command has its own copies of the descriptors: write its input, and read its outputs."""

    def read_rest(self) -> None:
        """All its processes have ended: read the rest of their output."""

    def close(self) -> None:
        """Stop reading and writing. May be called twice."""


class Pipes:
    """A pipe for each output, and one for the input if there is any."""

    def __init__(self, take: TakeOutput, buffer: InputBuffer | None) -> None:
        """Raises OSError."""
        self._open = ExitStack()
        with ExitStack() as failing:
            failing.callback(self._open.close)
            self._input: PipeWriter | NoInput = PipeWriter(buffer) if buffer else NoInput()
            self._open.callback(self._input.close)
            self._outputs = [self._output(partial(take, name)) for name in ("stdout", "stderr")]
            failing.pop_all()

    def _output(self, take: Callable[[bytes, bool], None]) -> OutputPipe:
        pipe = OutputPipe(take)
        self._open.callback(pipe.close)
        return pipe

    @property
    def given(self) -> Standard:
        """See Streams."""
        return Standard(self._input.reading, *(pipe.writing for pipe in self._outputs))

    def begin(self) -> None:
        """See Streams."""
        self._input.begin()
        for pipe in self._outputs:
            pipe.begin()

    def read_rest(self) -> None:
        """See Streams."""
        for pipe in self._outputs:
            pipe.read_rest()

    def close(self) -> None:
        """See Streams."""
        self._open.close()


class NoInput:
    """In place of a PipeWriter: the command finds the end of its input at once."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.reading = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def begin(self) -> None:
        """The command has its own copy of the descriptor: close this one."""
        self.close()

    def close(self) -> None:
        """May be called twice."""
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1


# The most bytes of one write: the default capacity of a pipe.
WRITE_BYTES = 65_536
# At the beginning of a line, this tells a terminal's reader that it has read everything. Elsewhere it only lets the
# reader have the unfinished line.
END_OF_INPUT = b"\x04"


class InputWriter:
    """Writes input to a command, as fast as the command reads. The descriptor is non-blocking; the caller closes it.

    When no process can read it any more, the rest of the input is dropped, including input that arrives later.
    """

    def __init__(self, descriptor: int, buffer: InputBuffer) -> None:
        self._descriptor = descriptor
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._has_ended = False

    def begin(self) -> None:
        """Write the input that has arrived, and all that arrives later."""
        self._buffer.watch(self._write)

    def close(self) -> None:
        """Stop writing. May be called twice."""
        self._has_ended = True
        self._buffer.drop()
        if self._descriptor >= 0:
            self._loop.remove_writer(self._descriptor)
            self._descriptor = -1

    def _write(self) -> None:
        try:
            while data := self._next():
                count = os.write(self._descriptor, data)
                if not count:
                    raise BlockingIOError
                self._wrote(data[:count])
        except BlockingIOError:
            self._loop.add_writer(self._descriptor, self._write)
            return
        except OSError:
            self.close()
            return
        self._loop.remove_writer(self._descriptor)
        if self._buffer.has_ended and not self._has_ended:
            self._has_ended = True
            self._end()

    def _next(self) -> bytes:
        return self._buffer.peek(WRITE_BYTES)

    def _wrote(self, data: bytes) -> None:
        self._buffer.skip(len(data))

    def _end(self) -> None:
        """Hook: everything has been written, and nothing more comes."""


class PipeWriter(InputWriter):
    """A pipe, which is the command's standard input."""

    def __init__(self, buffer: InputBuffer) -> None:
        """Raises OSError."""
        self.reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writing, False)
        super().__init__(writing, buffer)
        open_to_user(self.reading, TO_READ)

    def begin(self) -> None:
        """The command has its own copy of the reading end: close this one, and write."""
        self._close_reading()
        super().begin()

    def close(self) -> None:
        """Close the pipe, so that the command finds the end of its input. May be called twice."""
        self._close_reading()
        writing = self._descriptor
        super().close()
        if writing >= 0:
            os.close(writing)

    def _close_reading(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def _end(self) -> None:
        self.close()


class TerminalWriter(InputWriter):
    """The agent's end of a terminal. After the last byte, END_OF_INPUT tells the reader that nothing more comes."""

    def __init__(self, descriptor: int, buffer: InputBuffer) -> None:
        super().__init__(descriptor, buffer)
        self._is_line_open = False
        self._rest: bytes | None = None

    def _next(self) -> bytes:
        if data := super()._next():
            return data
        if self._buffer.has_ended and self._rest is None:
            self._rest = END_OF_INPUT * (2 if self._is_line_open else 1)
        return self._rest or b""

    def _wrote(self, data: bytes) -> None:
        if self._rest is not None:
            self._rest = self._rest[len(data) :]
            return
        self._is_line_open = not data.endswith(b"\n")
        super()._wrote(data)


# The most bytes of one read. After it, other work of the agent gets its turn.
READ_BYTES = 65_536
# The size of a pipe, if the system does not report it: the most that Linux allows a user by default.
MAX_PIPE_BYTES = 1_048_576
# The length of the longest UTF-8 character.
MAX_CHARACTER_BYTES = 4

# Takes bytes, and whether they are text.
type Take = Callable[[bytes, bool], None]


class OutputReader:
    """Reads an output of a command unchanged, and tells text from other bytes.

    The agent always keeps reading, so a command need not wait for the agent. If text ends in an incomplete character,
    that character (at most three bytes) is passed on with the next bytes.
    """

    def __init__(self, reading: int, take: Take) -> None:
        """The new object owns `reading`, and makes it non-blocking."""
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._held = b""
        self._reading = reading
        os.set_blocking(reading, False)

    def begin(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._reading, self._read)

    def read_rest(self) -> None:
        """Read what was written before now, but not for ever: another command may still write into this pipe."""
        size = self._size()
        while size > 0 and self._reading >= 0 and (count := self._read()) > 0:
            size -= count
        self._tell()
        if self._held:
            self._take(self._held, False)
            self._held = b""

    def _tell(self) -> None:
        """Hook: pass on the output that was gathered."""

    def close(self) -> None:
        """Stop reading. A process that still writes gets SIGPIPE or EPIPE."""
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
        """Read the available bytes, up to READ_BYTES; returns their number."""
        try:
            data = os.read(self._reading, READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError:
            # The terminal is hung up.
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
