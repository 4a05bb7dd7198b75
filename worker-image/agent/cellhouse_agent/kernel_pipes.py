"""The descriptors that a kernel starts with: its end of the link to the agent, and a pipe for its output."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress

from cellhouse_agent.kernel_link import new_link
from cellhouse_agent.output_tail import OutputTail
from cellhouse_agent.wire import JsonObject


class KernelPipes:
    """The kernel's two descriptors, and the agent's ends. Raises OSError when none can be made.

    A kernel begins when it has read a first packet, and ends if its link closes without one. So a kernel whose start
    failed half way never runs, and need not be found.
    """

    def __init__(self) -> None:
        self._link, self._their_link = new_link()
        self.kernel_stdin = self._their_link.fileno()
        self._output, self.kernel_output = os.pipe2(os.O_CLOEXEC)
        # The pipe belongs to the agent's user, but user code must be able to open /dev/stdout. gVisor cannot change the
        # mode of a pipe: there user code can use only the descriptor.
        with suppress(PermissionError):
            os.fchmod(self.kernel_output, 0o666)

    def commit(self, connection: JsonObject | None) -> tuple[socket.socket, OutputTail]:
        """Let the kernel begin, on the link or on this Jupyter connection; returns its link and its output."""
        # The send neither blocks nor fails: the socket is empty, and this process still holds its other end.
        self._link.send(json.dumps({"connection": connection}).encode())
        self._close_kernel_ends()
        return self._link, OutputTail(self._output)

    def abandon(self) -> None:
        """Make sure that no kernel begins."""
        self._close_kernel_ends()
        self._link.close()
        os.close(self._output)

    def _close_kernel_ends(self) -> None:
        self._their_link.close()
        os.close(self.kernel_output)
