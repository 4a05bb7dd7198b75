"""The agent's side of the spawner: keeps one running, and has it make commands (cellhouse_commands/spawner.py).

States: starting -> ready -> ended. One that has ended is replaced; its commands run on.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import ExitStack
from typing import NamedTuple

from cellhouse_agent.commands.command import Command, NotBegun, NotTaken
from cellhouse_agent.log import log_event
from cellhouse_agent.requests import TerminalSize
from cellhouse_agent.upkeep import keep_process
from cellhouse_commands.order import Content, make_order
from cellhouse_kernel.early_fork import Forked
from cellhouse_kernel.identity import HOME

MODULE = "cellhouse_commands"
# A spawner that has ended is replaced within a second, unless there is no process or memory for another one.
READY_TIMEOUT_SECONDS = 10.0
# Making one takes milliseconds. A spawner that is silent for this long is stuck, even on the busiest machine.
MADE_TIMEOUT_SECONDS = 30.0
# Linux limits the descriptors that are on their way in sockets of one user, and all workers' agents have the same user.
MAX_ORDERS_UNDER_WAY = 4
# An order that was not taken is given to the next spawner.
MAX_ATTEMPTS = 3
# It has nothing to say.
MAX_PACKET_BYTES = 16
# Not empty: that would be the end.
PACKET = b"order"
# Every terminal on a screen of today understands what programs send to this one.
TERMINAL_TYPE = "xterm-256color"
SHELL = ("/bin/bash", "-c")
# Linux accepts no longer argument: MAX_ARG_STRLEN, less the character that ends it.
MAX_CODE_BYTES = 131_071


class Script(NamedTuple):
    """Code for the shell, the variables that it finds, and the folder that it begins in (None: the home)."""

    code: str
    variables: dict[str, str]
    directory: str | None
    terminal: TerminalSize | None = None

    def problem(self) -> str | None:
        """Why no program can be given such code."""
        if len(self.code.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
            return f"The code is longer than {MAX_CODE_BYTES} bytes"
        return "The code contains a NUL character" if "\0" in self.code else None


class Standard(NamedTuple):
    """The descriptors for a command's standard input, output and error, which stay the caller's.

    With a terminal, they are a socket, over which the agent gets the terminal (cellhouse_commands/terminal.py).
    """

    input: int
    output: int
    error: int


class Spawner:
    """Keeps one spawner running. The first may have been forked already; any other is executed."""

    def __init__(self, environment: dict[str, str], first: Forked | None = None) -> None:
        """All commands have this `environment`."""
        self._environment = environment
        self._loop = asyncio.get_running_loop()
        self._control: socket.socket | None = None
        self._is_ready = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._under_way = asyncio.Semaphore(MAX_ORDERS_UNDER_WAY)
        self._upkeep = asyncio.create_task(keep_process(first, MODULE, self._serve))

    async def order(self, script: Script, standard: Standard) -> Command:
        """Have a command made. Raises NotBegun."""
        if problem := script.problem():
            raise NotBegun(problem)
        content: Content = {
            "argv": [*SHELL, script.code],
            "environment": {**self._environment, **script.variables},
            "directory": script.directory or HOME,
            "terminal": None,
        }
        if script.terminal:
            content["environment"] = {"TERM": TERMINAL_TYPE, **content["environment"]}
            content["terminal"] = script.terminal._asdict()
        async with self._under_way:
            for _ in range(MAX_ATTEMPTS):
                try:
                    return await self._attempt(content, standard)
                except NotTaken as error:
                    log_event("order_not_taken", reason=str(error))
            raise NotBegun("No process could be made: whatever makes them has ended")

    async def _attempt(self, content: Content, standard: Standard) -> Command:
        """Raises NotBegun and NotTaken."""
        command = await self._ordered(content, standard)
        try:
            await self._made(command)
        except BaseException:
            command.close()
            raise
        return command

    async def _ordered(self, content: Content, standard: Standard) -> Command:
        """Give the order to a spawner that lives."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                while True:
                    await self._is_ready.wait()
                    try:
                        return self._send(content, standard)
                    except ConnectionError:
                        # It has just ended.
                        self._forget()
        except OSError as error:
            # TimeoutError is an OSError, without a text.
            reason = error.strerror or "no processes can be made at the moment"
            raise NotBegun(f"The command could not be ordered: {reason}") from error

    async def _made(self, command: Command) -> None:
        try:
            async with asyncio.timeout(MADE_TIMEOUT_SECONDS):
                await command.made()
        except TimeoutError:
            # Without the spawner, the reaper either exists and says so, or never will.
            self._forget()
            await command.made()

    def _send(self, content: Content, standard: Standard) -> Command:
        """Raises OSError."""
        if not self._control:
            raise BrokenPipeError
        with ExitStack() as failing:
            order = make_order(content)
            failing.callback(os.close, order)
            control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            failing.enter_context(control)
            with theirs:
                socket.send_fds(self._control, [PACKET], [order, *standard, theirs.fileno()])
            command = Command(order, control, content["terminal"] is not None)
            failing.pop_all()
            return command

    async def close(self) -> None:
        """End the spawner. Its commands run on."""
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
        try:
            control.recv(MAX_PACKET_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            pass
        self._forget()
