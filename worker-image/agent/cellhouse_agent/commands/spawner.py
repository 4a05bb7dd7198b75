"""The agent's side of the spawner: keeps one running, and has it make processes (cellhouse_commands/spawner.py).

States: starting -> ready -> ended. A spawner that has ended is replaced; its commands run on.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

from cellhouse_agent.commands.command import Command, NotBegun, NotTaken
from cellhouse_agent.control import receive
from cellhouse_agent.log import log_event
from cellhouse_agent.upkeep import keep_process
from cellhouse_commands.command import ORDER_PACKET
from cellhouse_kernel.forking import Forked

MODULE = "cellhouse_commands"
# A spawner that has ended is replaced within a second, unless there is no process or memory for another one.
READY_TIMEOUT_SECONDS = 10.0
# Making a process takes milliseconds. A spawner that is silent for this long is stuck, even on the busiest machine.
MADE_TIMEOUT_SECONDS = 30.0


class Spawner:
    """Keeps one spawner running. The first may have been forked already; any other is executed."""

    def __init__(self, first: Forked | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._control: socket.socket | None = None
        self._is_ready = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._upkeep = asyncio.create_task(keep_process(first, MODULE, self._serve))

    async def make(self) -> Command:
        """Have the spawner make a process, which waits for an order. Raises NotBegun and NotTaken."""
        command = await self._ask()
        try:
            async with asyncio.timeout(MADE_TIMEOUT_SECONDS):
                await command.made()
        except TimeoutError as error:
            command.close()
            self._forget()
            raise NotTaken("The spawner makes no process") from error
        except BaseException:
            command.close()
            raise
        return command

    async def _ask(self) -> Command:
        """Ask a living spawner for a process. Raises NotBegun."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                while True:
                    await self._is_ready.wait()
                    try:
                        return self._send()
                    except ConnectionError:
                        # It has just ended.
                        self._forget()
        except OSError as error:
            # TimeoutError is an OSError, without a text.
            reason = error.strerror or "no processes can be made at the moment"
            raise NotBegun(f"The command could not be ordered: {reason}") from error

    def _send(self) -> Command:
        """Raises OSError."""
        if not self._control:
            raise BrokenPipeError
        with ExitStack() as failing:
            orders, its_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            failing.enter_context(orders)
            with its_orders:
                control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                failing.enter_context(control)
                with its_control:
                    given = [its_orders.fileno(), its_control.fileno()]
                    socket.send_fds(self._control, [ORDER_PACKET], given)
            failing.pop_all()
            return Command(control, orders)

    async def close(self) -> None:
        """End the spawner."""
        self._upkeep.cancel()
        await asyncio.wait([self._upkeep])

    async def _serve(self, control: socket.socket) -> None:
        """Give orders to one spawner until it ends."""
        control.setblocking(False)
        self._has_ended.clear()
        self._loop.add_reader(control.fileno(), self._receive, control)
        self._control = control
        self._is_ready.set()
        try:
            await self._has_ended.wait()
        finally:
            self._forget()
            self._loop.remove_reader(control.fileno())
            control.close()
        log_event("spawner_ended")

    def _forget(self) -> None:
        """Give it no more orders, and let it be replaced."""
        self._control = None
        self._is_ready.clear()
        self._has_ended.set()

    def _receive(self, control: socket.socket) -> None:
        # A spawner never sends anything. So it has ended, or is broken.
        if receive(control) is not None:
            self._forget()
