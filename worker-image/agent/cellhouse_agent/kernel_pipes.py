"""The descriptors that a kernel and its reaper start with: its end of the link, a pipe, and the reaper's socket."""

from __future__ import annotations

import asyncio
import os
import socket

from cellhouse_agent.kernel_link import new_link
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.output_tail import OutputTail
from cellhouse_agent.reaper import NoChild, Reaper
from cellhouse_agent.user_pipes import TO_WRITE, open_to_user

# A reaper makes its kernel within milliseconds, or within a tenth of a second if an interpreter must start first. While
# thirty workers start on two cores, it waits far longer for a CPU.
CHILD_TIMEOUT_SECONDS = 30.0


class KernelPipes:
    """The descriptors of a kernel that is to be made, and the agent's ends. Raises OSError when none can be made.

    A kernel begins when it has read a first packet, and ends if its link closes without one. So a kernel whose start
    failed half way never runs, and need not be found.
    """

    def __init__(self) -> None:
        self._link, self._their_link = new_link()
        self.kernel_stdin = self._their_link.fileno()
        self._control, self._their_control = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self.reaper_control = self._their_control.fileno()
        # The pipe is made last: if a step fails, the sockets close by themselves, but a pipe would not.
        self._output, self.kernel_output = os.pipe2(os.O_CLOEXEC)
        self._is_over = False
        open_to_user(self.kernel_output, TO_WRITE)

    async def begin(self, reaper_pid: int) -> KernelProcess:
        """Once the reaper has made the kernel, let it begin.

        Raises NoChild if the reaper does not make it.
        """
        # From now on only the reaper holds its end of the socket, so the agent learns when that is closed.
        self._their_control.close()
        reaper = Reaper(reaper_pid, self._control)
        try:
            async with asyncio.timeout(CHILD_TIMEOUT_SECONDS):
                pid = await reaper.child()
        except TimeoutError as error:
            reaper.close()
            raise NoChild(f"no child within {CHILD_TIMEOUT_SECONDS:.0f} s") from error
        except BaseException:
            reaper.close()
            raise
        # The send neither blocks nor fails: the socket is empty, and this process still holds its other end.
        self._link.send(b"begin")
        self._is_over = True
        self._close_their_ends()
        return KernelProcess(pid, self._link, OutputTail(self._output), reaper)

    def close(self) -> None:
        """Make sure that the kernel never begins. Does nothing if it has begun already."""
        if not self._is_over:
            self._is_over = True
            self._close_their_ends()
            self._control.close()
            self._link.close()
            os.close(self._output)

    def _close_their_ends(self) -> None:
        self._their_link.close()
        self._their_control.close()
        os.close(self.kernel_output)
