"""The agent's side of one reaper, which reports the ends of a kernel or command and of all processes that it starts.

cellhouse_kernel/reaper.py and cellhouse_kernel/forking.py describe the packets. States:

    starting -> made -> exited -> ended   the child exists; the child has ended; nothing is left below the reaper
    starting -> failed                    no child could be made
    starting, made, exited -> lost        the reaper itself has ended, so nobody knows what is left
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any, NamedTuple

from cellhouse_agent.processes.children import receive
from cellhouse_agent.processes.table import start_of
from cellhouse_agent.processes.tree import end_processes, kill_tree, look_below


class NoChild(Exception):
    """The reaper has no child: it could not make one, or the connection to it was lost before."""


class PastUse(NamedTuple):
    """What ended processes have used."""

    cpu_ms: float
    # Of the largest process.
    max_rss_bytes: int


class Reaper:
    """One reaper. It owns `control`, the agent's end of their socket.

    Without a `pid`, the reaper may not exist yet. It reports its id when it has made its child.
    """

    def __init__(self, pid: int | None, control: socket.socket) -> None:
        self.pid = pid or 0
        self.start = (pid and start_of(pid)) or 0
        self.is_lost = False
        # What the ended processes below it have used, as far as it has reported.
        self.used = PastUse(0.0, 0)
        # The most memory of its child, or of a process that the child has waited for; 0 until the child has ended.
        self.child_bytes = 0
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._made: asyncio.Future[int] = self._loop.create_future()
        self._exit: asyncio.Future[int | None] = self._loop.create_future()
        self._ended = asyncio.Event()
        control.setblocking(False)
        self._loop.add_reader(control, self._receive)

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left below it, or it is lost."""
        return self._ended.is_set()

    @property
    def has_exited(self) -> bool:
        """Whether its child has ended, or it is lost."""
        return self._exit.done()

    @property
    def exit_code(self) -> int | None:
        """The exit code of its child: negative for a signal, None while it runs or if the reaper is lost."""
        return self._exit.result() if self._exit.done() else None

    async def child(self) -> int:
        """Wait for its child, and return the process id; raises NoChild."""
        return await asyncio.shield(self._made)

    async def wait_exited(self) -> None:
        """Return when `has_exited`."""
        await asyncio.shield(self._exit)

    def kill_tree(self) -> None:
        """Kill all processes below it, now."""
        if not self.has_ended:
            kill_tree(self.pid, self.start)

    async def end_tree(self) -> None:
        """Kill all processes below it, and return when none is left or it is lost. Raises UnkillableProcesses."""
        if not self.has_ended:
            await end_processes(self.look_below, lambda: self.has_ended, self._wait_ended)

    def look_below(self) -> dict[int, int]:
        """The ids and starts of all processes below it."""
        return look_below(self.pid, self.start)

    def hear(self) -> None:
        """Take all packets that it has sent by now."""
        while self._receive():
            pass

    def close(self) -> None:
        """Stop listening to it. It ends by itself when nothing is left below it."""
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control)
            self._control.close()

    async def _wait_ended(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return

    def _receive(self) -> bool:
        """Take one packet; true if there was one."""
        if self._control.fileno() < 0:
            return False
        packet = receive(self._control)
        if packet == b"":
            self._lose()
        if not packet:
            return False
        for what, fields in json.loads(packet).items():
            self._handle(what, fields)
        return True

    def _handle(self, what: str, fields: dict[str, Any]) -> None:
        if what == "made" and not self._made.done():
            if not self.pid:
                self.pid = fields["reaper"]
                self.start = start_of(self.pid) or 0
            self._made.set_result(fields["pid"])
        elif what == "failed":
            self._refuse(os.strerror(fields["errno"]))
        elif what == "exited" and not self._exit.done():
            self.child_bytes = fields["max_rss_bytes"]
            self.used = PastUse(fields["cpu_ms"], self.child_bytes)
            self._exit.set_result(fields["code"])
        elif what == "empty":
            self.used = PastUse(**fields)
            self._ended.set()
            self.close()

    def _lose(self) -> None:
        self.is_lost = not self._made.done() or self._made.exception() is None
        self._refuse("the connection to its reaper was lost")
        if not self._exit.done():
            self._exit.set_result(None)
        self._ended.set()
        self.close()

    def _refuse(self, reason: str) -> None:
        if not self._made.done():
            self._made.set_exception(NoChild(reason))
            # If nobody waits, asyncio must not log that the exception was never retrieved.
            self._made.exception()
