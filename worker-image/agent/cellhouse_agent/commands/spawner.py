"""Makes commands, each from a process that has waited for its order.

The process for the next command is made in advance, so that the command need not wait for two forks (decision 0045).
The first process is made when the first command comes, so a worker without commands spends no memory on one.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress

from cellhouse_agent.commands.command import Command, NotBegun, NotTaken, Script, Standard
from cellhouse_agent.log import log_event
from cellhouse_agent.processes.children import keep_process, receive
from cellhouse_commands.command import Content
from cellhouse_kernel.forking import Forked

# Linux limits how many descriptors of one uid may be in flight in sockets, and the agents of all workers have one uid.
MAX_ORDERS_UNDER_WAY = 4
# An order that was not taken is given to another process.
MAX_ATTEMPTS = 3
# The pause between an order and the making of the next process, so that the command gets the CPU first.
PREPARE_PAUSE_SECONDS = 0.01


class CommandMaker:
    """Owns the spawner, and the process that waits for the next order."""

    def __init__(self, environment: dict[str, str], first: Forked | None = None) -> None:
        """All commands have this `environment`. `first` is a spawner that was forked already."""
        self._environment = environment
        self._spawner = Spawner(first)
        self._under_way = asyncio.Semaphore(MAX_ORDERS_UNDER_WAY)
        self._waiting: asyncio.Task[Command | None] | None = None
        self._pause: asyncio.TimerHandle | None = None

    async def order(self, script: Script, standard: Standard) -> Command:
        """Make a command. Raises NotBegun. `withdrawn` cancels this without losing a command that has begun."""
        if problem := script.problem():
            raise NotBegun(problem)
        content = script.content(self._environment)
        async with self._under_way:
            reason = ""
            for _ in range(MAX_ATTEMPTS):
                try:
                    return await self._attempt(content, standard)
                except NotTaken as error:
                    reason = str(error)
                    log_event("order_not_taken", reason=reason)
            raise NotBegun(f"The command could not be started in {MAX_ATTEMPTS} attempts: {reason}")

    async def close(self) -> None:
        """End the spawner, and the process that waits. The commands run on."""
        if self._pause:
            self._pause.cancel()
        if command := await self._waited():
            command.close()
        await self._spawner.close()

    async def _attempt(self, content: Content, standard: Standard) -> Command:
        """Raises NotBegun and NotTaken."""
        command = await self._waited() or await self._spawner.make()
        try:
            await command.order(content, standard)
        except BaseException:
            command.close()
            raise
        self._prepare_soon()
        return command

    async def _waited(self) -> Command | None:
        """Take the waiting process, or the one that is being made; None if there is none, or it has ended."""
        waiting, self._waiting = self._waiting, None
        command = await waiting if waiting else None
        if command and command.reaper.has_exited:
            command.close()
            return None
        return command

    def _prepare_soon(self) -> None:
        """Have a process made for the next order."""
        if self._pause:
            self._pause.cancel()
        loop = asyncio.get_running_loop()
        self._pause = loop.call_later(PREPARE_PAUSE_SECONDS, self._prepare)

    def _prepare(self) -> None:
        if not self._waiting:
            self._waiting = asyncio.create_task(self._make_early())

    async def _make_early(self) -> Command | None:
        # The next order tries again, and reports why no process can be made.
        with suppress(NotBegun):
            return await self._spawner.make()
        return None


async def withdrawn(order: asyncio.Future[Command]) -> Command | None:
    """Cancel this order. Returns the command if it has begun; otherwise the command never begins.

    Raises NotBegun and OSError.
    """
    order.cancel()
    await asyncio.wait([order])
    return None if order.cancelled() else order.result()


async def abandon(order: asyncio.Future[Command]) -> None:
    """Cancel this order because the agent ends, and kill the command if it has begun."""
    with suppress(NotBegun, OSError):
        if command := await withdrawn(order):
            command.kill()
            command.close()


MODULE = "cellhouse_commands"
# The packet that asks the spawner for a process. The spawner ignores the bytes, but an empty packet would mean the end
# of the connection.
ASK_PACKET = b"make"
# A spawner that has ended is replaced within a second, unless the limit of processes or of memory is reached.
READY_TIMEOUT_SECONDS = 10.0
# Making a process takes milliseconds. A spawner that is silent for this long is stuck, even on the busiest machine.
MADE_TIMEOUT_SECONDS = 30.0


class Spawner:
    """The agent's side of the spawner: keeps one running, and has it make processes (cellhouse_commands/spawner.py).

    States: starting -> ready -> ended. A spawner that has ended is replaced; its commands run on. The first may have
    been forked already; any other is a fresh interpreter.
    """

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
                    socket.send_fds(self._control, [ASK_PACKET], given)
            failing.pop_all()
            return Command(control, orders)

    async def close(self) -> None:
        """End the spawner."""
        self._upkeep.cancel()
        await asyncio.wait([self._upkeep])

    async def _serve(self, control: socket.socket) -> None:
        """Let `_send` use this spawner until it ends."""
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
        """Stop asking this spawner, and let it be replaced."""
        self._control = None
        self._is_ready.clear()
        self._has_ended.set()

    def _receive(self, control: socket.socket) -> None:
        # A spawner never sends anything. So it has ended, or is broken.
        if receive(control) is not None:
            self._forget()
