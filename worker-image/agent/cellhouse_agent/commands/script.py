"""What a command is made of: its code and surroundings, and its descriptors."""

from __future__ import annotations

from typing import NamedTuple

from cellhouse_agent.requests import TerminalSize
from cellhouse_commands.command import Content
from cellhouse_kernel.privileges import HOME

# Every present terminal emulator understands what programs send to a terminal of this type.
TERMINAL_TYPE = "xterm-256color"
SHELL = ("/bin/bash", "-c")
# The longest argument that Linux accepts: MAX_ARG_STRLEN, less the NUL at its end.
MAX_CODE_BYTES = 131_071


class Script(NamedTuple):
    """Code for the shell, the variables that it finds, and the folder that it begins in (None: the home)."""

    code: str
    variables: dict[str, str]
    directory: str | None
    terminal: TerminalSize | None = None

    def problem(self) -> str | None:
        """Why a program cannot be given this code; None if it can."""
        if len(self.code.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
            return f"The code is longer than {MAX_CODE_BYTES} bytes"
        return "The code contains a NUL character" if "\0" in self.code else None

    def content(self, environment: dict[str, str]) -> Content:
        """The order (cellhouse_commands/command.py). `environment` is that of all commands."""
        content: Content = {
            "argv": [*SHELL, self.code],
            "environment": {**environment, **self.variables},
            "directory": self.directory or HOME,
            "terminal": None,
        }
        if self.terminal:
            content["environment"] = {"TERM": TERMINAL_TYPE, **content["environment"]}
            content["terminal"] = self.terminal._asdict()
        return content


class Standard(NamedTuple):
    """The descriptors for a command's standard input, output and error, which stay the caller's.

    With a terminal, they are a socket, over which the agent gets the terminal (cellhouse_commands/command.py).
    """

    input: int
    output: int
    error: int
