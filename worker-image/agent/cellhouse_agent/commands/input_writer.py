"""Writes a command's input to it, as fast as it reads."""

from __future__ import annotations

import asyncio
import os

from cellhouse_agent.input_buffer import InputBuffer
from cellhouse_agent.user_pipes import TO_READ, open_to_user

# The most bytes of one write: the default capacity of a pipe.
WRITE_BYTES = 65_536
# At the beginning of a line, this tells a terminal's reader that it has read everything. Elsewhere it only lets the
# reader have the unfinished line.
END_OF_INPUT = b"\x04"


class InputWriter:
    """Writes to a non-blocking descriptor, which belongs to the caller.

    When the other end is closed everywhere, the rest of the input is dropped, including what arrives later.
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
        """Write no more. May be called twice."""
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
