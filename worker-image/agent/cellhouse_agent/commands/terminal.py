"""A command's terminal. Imported only when a command has one.

States: given (the command's process has a socket) -> open (the process has sent both ends of the terminal, and the
agent has acknowledged them) -> closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from functools import partial

from cellhouse_agent.commands.command import Standard
from cellhouse_agent.commands.streams import OutputReader, Take, TakeOutput, TerminalWriter
from cellhouse_agent.executions.inputs import InputBuffer
from cellhouse_agent.gateway.requests import TerminalSize
from cellhouse_agent.log import log_event
from cellhouse_commands.command import TERMINAL_PACKET, set_size

ENDS = 2
# Linux returns at most 4 KB of a terminal's output at a time. So output is gathered for one frame: until it is this
# much, or a time too short for a person to notice.
GATHERED_BYTES = 65_536
GATHER_SECONDS = 0.005


class TerminalReader(OutputReader):
    """The agent's end of a terminal."""

    def __init__(self, reading: int, take: Take) -> None:
        super().__init__(reading, take)
        self._gathered = bytearray()
        self._late: asyncio.TimerHandle | None = None

    def _hand_on(self, data: bytes) -> None:
        self._gathered += data
        if len(self._gathered) >= GATHERED_BYTES:
            self._tell()
        elif not self._late:
            self._late = self._loop.call_later(GATHER_SECONDS, self._tell)

    def _tell(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None
        data = bytes(self._gathered)
        self._gathered.clear()
        super()._hand_on(data)


class Terminal:
    """Input and output of a command. The agent keeps the command's end open, too, so that its own reads do not fail."""

    def __init__(self, take: TakeOutput, buffer: InputBuffer) -> None:
        """Raises OSError."""
        self._take = take
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        # The agent's end, and the command's.
        self._ends: list[int] = []
        self._reader: TerminalReader | None = None
        self._writer: TerminalWriter | None = None
        # The size requested last. The terminal gets it when it opens.
        self._size: TerminalSize | None = None

    @property
    def given(self) -> Standard:
        """See Streams."""
        return Standard(*[self._theirs.fileno()] * len(Standard._fields))

    def begin(self) -> None:
        """See Streams."""
        self._theirs.close()
        self._loop.add_reader(self._ours, self._receive)

    def resize(self, size: TerminalSize) -> None:
        """Change its size."""
        self._size = size
        if self._ends:
            set_size(self._ends[0], *size)

    def read_rest(self) -> None:
        """See Streams."""
        self._receive()
        if self._reader:
            self._reader.read_rest()

    def close(self) -> None:
        """See Streams. A process that still has it open gets SIGHUP."""
        self._close_sockets()
        self._buffer.drop()
        if self._writer:
            self._writer.close()
        if self._reader:
            self._reader.close()
            self._reader = None
        while self._ends:
            os.close(self._ends.pop())

    def _receive(self) -> None:
        """Take the terminal, if the process has sent it and it was not taken yet."""
        if self._ours.fileno() < 0:
            return
        try:
            _, ends, *_ = socket.recv_fds(self._ours, len(TERMINAL_PACKET), ENDS)
        except BlockingIOError:
            return
        except ConnectionResetError:
            ends = []
        self._ends = list(ends)
        try:
            # Fewer ends: the process has ended before it had a terminal, or the agent has no descriptor left.
            if len(self._ends) == ENDS:
                self._open(self._ends[0])
                # Nothing can fail any more: let the process execute its program.
                self._ours.send(TERMINAL_PACKET)
                self._close_sockets()
                return
        except ConnectionError:
            # The process has ended meanwhile.
            pass
        except OSError as error:
            log_event("no_terminal", reason=str(error.strerror))
        # A process that gets no answer does not execute its program.
        self.close()

    def _open(self, end: int) -> None:
        os.set_blocking(end, False)
        if self._size:
            self.resize(self._size)
        self._reader = TerminalReader(os.dup(end), partial(self._take, "stdout"))
        self._reader.begin()
        self._writer = TerminalWriter(end, self._buffer)
        self._writer.begin()

    def _close_sockets(self) -> None:
        if self._ours.fileno() >= 0:
            self._loop.remove_reader(self._ours)
        self._ours.close()
        self._theirs.close()
