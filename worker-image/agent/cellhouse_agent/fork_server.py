"""The agent's side of one fork server (cellhouse_kernel/fork_server.py describes the protocol).

States: importing -> ready -> ended. It ends by itself only when something is wrong; then it is replaced, not repaired.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from cellhouse_agent.control import receive
from cellhouse_agent.kernel_pipes import KernelPipes
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.log import log_event
from cellhouse_agent.output_tail import OutputTail
from cellhouse_agent.reaper import NoChild
from cellhouse_kernel.packages import FIRST_FORK_SERVER, module_command

COMMAND = module_command("cellhouse_kernel.fork_server")
# A fork takes milliseconds, or a tenth of a second under gVisor. A fork server that is silent for this long is stuck,
# even on the busiest machine.
FORK_TIMEOUT_SECONDS = 5.0


class ForkFailed(Exception):
    """This attempt made no kernel, and cannot make one later."""


class Child(Protocol):
    """A fork server's process, like asyncio's."""

    @property
    def returncode(self) -> int | None:
        """The exit code, once it is known that it has ended."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""

    async def wait(self) -> int:
        """Wait for its end; returns the exit code."""


class Execute(Protocol):
    """Starts a fork server's process, as `execute` does."""

    async def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], stdin: int, output: int, /
    ) -> Child:
        """Raises OSError if no process can be made."""


class ForkServer:
    """One fork server. The kernels that it makes have reapers of their own, and outlive it."""

    def __init__(
        self,
        child: Child,
        control: socket.socket,
        output: OutputTail,
        on_ready: Callable[[], None],
    ) -> None:
        self._child = child
        self._control = control
        self._output = output
        self._loop = asyncio.get_running_loop()
        # The requests for reapers, which it makes one after another. A request that nobody waits for any more stays
        # here until it is answered, so that its answer is not taken for that of another request.
        self._orders: deque[asyncio.Future[int]] = deque()
        self._silence: asyncio.TimerHandle | None = None
        self._on_ready = on_ready
        self._loop.add_reader(control.fileno(), self._receive)

    @classmethod
    async def start(
        cls,
        execute: Execute,
        environment: Mapping[str, str],
        is_first: bool,
        on_ready: Callable[[], None],
    ) -> ForkServer:
        """Start one; `on_ready` is called when it has imported everything. Raises OSError if no process can be made.

        `is_first`: no code of the user has run yet, so it may import what the environment names.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        output, their_output = os.pipe2(os.O_CLOEXEC)
        try:
            command = [*COMMAND, FIRST_FORK_SERVER] if is_first else COMMAND
            child = await execute(command, environment, theirs.fileno(), their_output)
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

    async def fork(self) -> KernelProcess:
        """Make a kernel. Raises ForkFailed; a kernel that is only half made then ends by itself."""
        pipes = KernelPipes()
        try:
            return await pipes.begin(await self._order(pipes))
        except NoChild as error:
            raise ForkFailed(f"the reaper: {error}") from error
        except OSError as error:
            # The fork server is of no more use, whatever went wrong.
            self.kill()
            raise ForkFailed(f"{type(error).__name__}: {error}") from error
        finally:
            pipes.close()

    def _order(self, pipes: KernelPipes) -> asyncio.Future[int]:
        """Ask for a reaper and its kernel; the result is the reaper's process id, or ForkFailed."""
        descriptors = [pipes.kernel_stdin, pipes.kernel_output, pipes.reaper_control]
        socket.send_fds(self._control, [b'{"fork": {}}'], descriptors)
        order: asyncio.Future[int] = self._loop.create_future()
        self._orders.append(order)
        if len(self._orders) == 1:
            self._await_answer()
        return order

    def _await_answer(self) -> None:
        """Count the silence of the fork server from now on, as long as an answer is due."""
        if self._silence:
            self._silence.cancel()
        self._silence = None
        if self._orders:
            self._silence = self._loop.call_later(FORK_TIMEOUT_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._fail_all("the fork server is silent")
        self.kill()

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
        self._fail_all("the fork server has ended")
        return code

    def _receive(self) -> bool:
        """Take one packet; true if there was one."""
        if self._control.fileno() < 0:
            return False
        packet = receive(self._control)
        if packet == b"":
            self._loop.remove_reader(self._control.fileno())
            self._fail_all("the fork server has hung up")
        if not packet:
            return False
        self._handle(json.loads(packet))
        return True

    def _handle(self, message: dict[str, dict[str, Any]]) -> None:
        for what, fields in message.items():
            if what == "ready":
                if fields["not_preloaded"]:
                    log_event("not_preloaded", reason=fields["not_preloaded"])
                self._on_ready()
            elif self._orders:
                order = self._orders.popleft()
                self._await_answer()
                if not order.done() and what == "forked":
                    order.set_result(fields["reaper"])
                elif not order.done():
                    order.set_exception(ForkFailed(os.strerror(fields["errno"])))

    def _fail_all(self, reason: str) -> None:
        while self._orders:
            order = self._orders.popleft()
            if not order.done():
                order.set_exception(ForkFailed(reason))
        self._await_answer()
