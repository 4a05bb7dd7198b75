"""The two pipes between the agent and a kernel that is about to start."""

from __future__ import annotations

import json
import os

from cellhouse_agent.output_tail import OutputTail
from cellhouse_agent.wire import JsonObject


class KernelPipes:
    """`kernel_stdin` and `kernel_output` are the kernel's ends; the other two are the agent's.

    The kernel begins when it has read its connection, and ends if its input closes without one. So a kernel whose start
    went wrong half way never runs: there is no need to find it.
    """

    def __init__(self) -> None:
        self.kernel_stdin, self._input = os.pipe2(os.O_CLOEXEC)
        self._output, self.kernel_output = os.pipe2(os.O_CLOEXEC)
        # Its owner is the agent's user, and user code opens /dev/stdout.
        os.fchmod(self.kernel_output, 0o666)

    def commit(self, connection: JsonObject) -> OutputTail:
        """Let the kernel begin; returns its output."""
        # Far less than a pipe holds, and a reader is there at least here: it neither blocks nor fails.
        os.write(self._input, json.dumps(connection).encode())
        self._close_starting_ends()
        return OutputTail(self._output)

    def abandon(self) -> None:
        """Make sure that no kernel begins."""
        self._close_starting_ends()
        os.close(self._output)

    def _close_starting_ends(self) -> None:
        for end in (self._input, self.kernel_stdin, self.kernel_output):
            os.close(end)
