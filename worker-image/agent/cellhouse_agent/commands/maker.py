"""Makes commands, each from a process that has waited for its order.

A process is made before there is an order for it, so that a command need not wait for two forks (decision 0045). The
first is made for the first command, so a worker without commands spends no memory on one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from cellhouse_agent.commands.command import Command, NotBegun, NotTaken
from cellhouse_agent.commands.script import Script, Standard
from cellhouse_agent.commands.spawner import Spawner
from cellhouse_agent.log import log_event
from cellhouse_commands.command import Content
from cellhouse_kernel.forking import Forked

# Linux limits how many descriptors of one user may be in flight in sockets, and all workers' agents have the same user.
MAX_ORDERS_UNDER_WAY = 4
# An order that was not taken is given to another process.
MAX_ATTEMPTS = 3
# The pause between an order and the making of the next process, so that the command gets the CPU first.
PREPARE_PAUSE_SECONDS = 0.01


class CommandMaker:
    """Owns the spawner, and the process that waits."""

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
            for _ in range(MAX_ATTEMPTS):
                try:
                    return await self._attempt(content, standard)
                except NotTaken as error:
                    log_event("order_not_taken", reason=str(error))
            raise NotBegun("No process could be made: the process that makes them has ended")

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
