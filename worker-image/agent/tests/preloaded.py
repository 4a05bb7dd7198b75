"""Fork servers that start at once, for tests that are not about the start of fork servers and kernels.

Importing the libraries of kernels takes longer than most tests. So one process imports them, and forks a fork server
whenever a launcher starts one. Each launcher has its own fork server and kernels, as in a worker. Tests of how fork
servers and kernels start use a plain `KernelLauncher`. So do tests that also run under gVisor, which has no pidfd.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence

from cellhouse_agent.kernel.launcher import KernelLauncher, kernel_environment
from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_kernel.fork_server import ForkServer
from cellhouse_kernel.kernel_process import run_forked
from cellhouse_kernel.packages import IMAGE_PYTHON, find_packages
from cellhouse_kernel.preload import preload

CPUS = 1
COMMAND = [IMAGE_PYTHON, "-I", __file__]
MAX_PACKET_BYTES = 100
# An order comes with a control socket and the file for output.
DESCRIPTORS = 2
# As long as a launcher waits for a fork server.
PATIENCE_SECONDS = 60.0
# The exit code of a process is known only to its parent.
UNKNOWN_EXIT_CODE = 255


class PreloadedLauncher(KernelLauncher):
    """A launcher whose fork servers have imported everything when they start. A kernel can use one CPU."""

    def __init__(self) -> None:
        super().__init__(CPUS, execute=self._fork)
        self._pid: int | None = None

    @property
    def fork_server_pid(self) -> int:
        """The pid of the fork server that was started last."""
        assert self._pid
        return self._pid

    async def _fork(
        self, _command: Sequence[str], environment: Mapping[str, str], stdin: int, output: int
    ) -> Forked:
        assert environment == kernel_environment(CPUS)
        orders = _preloaded()
        socket.send_fds(orders, [b"fork"], [stdin, output])
        self._pid = int(orders.recv(MAX_PACKET_BYTES))
        return Forked(self._pid)


def is_preloaded(command: str) -> bool:
    """Whether `command` is the command line of the process that imports everything, or of a process forked from it."""
    return command == " ".join(COMMAND)


class Forked:
    """A fork server that is not a child of this process."""

    def __init__(self, pid: int) -> None:
        self.returncode: int | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._process = os.pidfd_open(pid)
        self._loop.add_reader(self._process, self._end)

    def send_signal(self, number: int) -> None:
        """Send the fork server a signal."""
        signal.pidfd_send_signal(self._process, number)

    async def wait(self) -> int:
        """Wait for the end of the fork server."""
        await self._ended.wait()
        return UNKNOWN_EXIT_CODE

    def _end(self) -> None:
        self._loop.remove_reader(self._process)
        os.close(self._process)
        self.returncode = UNKNOWN_EXIT_CODE
        self._ended.set()


@functools.cache
def _preloaded() -> socket.socket:
    """Start the process that imports everything. It ends when the test process ends."""
    orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    orders.settimeout(PATIENCE_SECONDS)
    with theirs:
        process = subprocess.Popen(
            COMMAND,
            stdin=theirs.fileno(),
            # As `execute` of the agent does.
            user=0,
            group=0,
            extra_groups=[],
            cwd="/",
            env=kernel_environment(CPUS),
            start_new_session=True,
        )

    def end() -> None:
        orders.close()
        process.wait()

    atexit.register(end)
    return orders


def main() -> None:
    """Import everything, then fork a fork server for each order. Each fork leaves the loop and serves."""
    become_user(AGENT_UID)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    find_packages()
    preload([])
    orders = socket.socket(fileno=0)
    # While SIGCHLD is ignored, children that end leave no zombies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        packet, descriptors, *_ = socket.recv_fds(orders, MAX_PACKET_BYTES, DESCRIPTORS)
        if not packet:
            return
        pid = os.fork()
        if pid == 0:
            break
        orders.send(b"%d" % pid)
        for descriptor in descriptors:
            os.close(descriptor)
    # The same session and descriptors that `execute` of the agent gives a fork server.
    orders.detach()
    os.setsid()
    control, output = descriptors
    for descriptor, number in ((control, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    os.close(control)
    os.close(output)
    run_forked(ForkServer(socket.socket(fileno=0), "").serve())


if __name__ == "__main__":
    main()
