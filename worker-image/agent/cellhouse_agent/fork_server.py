"""The agent's side of one fork server (cellhouse_kernel/fork_server.py describes the protocol).

States: importing -> ready -> ended. It ends by itself only when something is wrong; then it is replaced, not repaired.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cellhouse_agent.execute import execute
from cellhouse_agent.kernel_pipes import KernelPipes
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.output_tail import OutputTail
from cellhouse_agent.wire import JsonObject

# Isolated (-I), like the kernel.
COMMAND = ["/usr/bin/python3", "-I", "-m", "cellhouse_kernel.fork_server"]
# A fork takes milliseconds. A fork server that is silent for this long is stuck, even on the busiest machine.
FORK_TIMEOUT_SECONDS = 5.0
MAX_PACKET_BYTES = 4_096


class ForkFailed(Exception):
    """This attempt made no kernel, and cannot make one later."""


@dataclass
class _Order:
    """A kernel that is being made."""

    pipes: KernelPipes
    connection: JsonObject | None
    made: asyncio.Future[KernelProcess]
    has_begun: bool = False


class ForkServer:
    """One fork server. `kernels` are those that it made and has not reported as ended."""

    def __init__(
        self,
        child: asyncio.subprocess.Process,
        control: socket.socket,
        output: OutputTail,
        on_ready: Callable[[], None],
    ) -> None:
        self._child = child
        self._control = control
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._order: _Order | None = None
        self.kernels: dict[int, KernelProcess] = {}
        self._on_ready = on_ready
        self._loop.add_reader(control.fileno(), self._receive)

    @classmethod
    async def start(
        cls, environment: Mapping[str, str], on_ready: Callable[[], None]
    ) -> ForkServer:
        """Start one; `on_ready` is called when it has imported everything. Raises OSError if no process can be made."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        output, their_output = os.pipe2(os.O_CLOEXEC)
        try:
            child = await execute(COMMAND, environment, theirs.fileno(), their_output)
        except OSError:
            control.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(their_output)
        return cls(child, control, OutputTail(output), on_ready)

    @property
    def output_tail(self) -> str:
        """The end of its output, which is empty unless something went wrong."""
        return self._output.text

    async def wait_ended(self) -> None:
        """Return when it has ended."""
        await self._child.wait()

    async def fork(self, connection: JsonObject | None) -> KernelProcess:
        """Make a kernel; only one at a time. Raises ForkFailed; a kernel that is only half made then ends by itself."""
        pipes = KernelPipes()
        order = self._order = _Order(pipes, connection, self._loop.create_future())
        try:
            socket.send_fds(
                self._control, [b'{"fork": {}}'], [pipes.kernel_stdin, pipes.kernel_output]
            )
            async with asyncio.timeout(FORK_TIMEOUT_SECONDS):
                return await order.made
        except OSError as error:
            # The fork server is of no more use, whatever went wrong. (TimeoutError is an OSError.)
            self.kill()
            raise ForkFailed(f"{type(error).__name__}: {error}") from error
        finally:
            self._order = None
            if not order.has_begun:
                pipes.abandon()

    def kill(self) -> None:
        """End the fork server. Its kernels keep running."""
        if self._child.returncode is None:
            self._child.send_signal(signal.SIGKILL)

    async def close(self) -> int:
        """End the fork server and read its last packets; returns its exit code."""
        self.kill()
        code = await self._child.wait()
        while self._receive():
            pass
        self._output.read_rest()
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._output.close()
        self._fail("the fork server has ended")
        return code

    def _receive(self) -> bool:
        """Take one packet; true if there was one."""
        if self._control.fileno() < 0:
            return False
        try:
            packet = self._control.recv(MAX_PACKET_BYTES)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            packet = b""
        if not packet:
            self._loop.remove_reader(self._control.fileno())
            self._fail("the fork server has hung up")
            return False
        self._handle(json.loads(packet))
        return True

    def _handle(self, message: dict[str, dict[str, Any]]) -> None:
        for what, fields in message.items():
            if what == "ready":
                self._on_ready()
            elif what == "forked":
                self._begin(fields["pid"])
            elif what == "failed":
                self._fail(os.strerror(fields["errno"]))
            elif what == "exited":
                process = self.kernels.pop(fields["pid"], None)
                if process:
                    process.set_exited(fields["code"])

    def _begin(self, pid: int) -> None:
        """Let the new kernel begin, and register it.

        `fork` continues only after this. That could be too late, because the next packet may already report the end of
        the kernel.
        """
        order = self._order
        if order and not order.made.done():
            process = KernelProcess(pid, *order.pipes.commit(order.connection))
            order.has_begun = True
            self.kernels[pid] = process
            order.made.set_result(process)

    def _fail(self, reason: str) -> None:
        if self._order and not self._order.made.done():
            self._order.made.set_exception(ForkFailed(reason))
