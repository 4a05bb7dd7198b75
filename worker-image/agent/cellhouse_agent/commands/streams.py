"""A command's standard input, output and error, as pipes. With a terminal, terminal.py takes their place."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from cellhouse_agent.commands.input_writer import PipeWriter
from cellhouse_agent.commands.output_pipe import OutputPipe
from cellhouse_agent.commands.script import Standard
from cellhouse_agent.input_buffer import InputBuffer

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
        """All its processes have ended: read what they have written."""

    def close(self) -> None:
        """Read and write no more. May be called twice."""


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
