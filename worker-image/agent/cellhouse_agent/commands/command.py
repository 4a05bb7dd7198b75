"""One command's processes, from the fork to their end.

States: asked for -> made by its reaper, and waiting for an order -> ordered -> exited (its own process) -> ended
(nothing is left below the reaper). A process may be made long before its order is given.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import NamedTuple

from cellhouse_agent.gateway.requests import TerminalSize
from cellhouse_agent.processes.reaper import NoChild, PastUse, Reaper
from cellhouse_agent.processes.table import send_signal, start_of, stat_fields
from cellhouse_agent.processes.user_processes import end_strays
from cellhouse_commands.command import ORDER_PACKET, Content, make_order, read_order, seal_order
from cellhouse_kernel.privileges import HOME

# A waiting process takes its order within milliseconds. On an overloaded machine, it is the last to get the CPU.
TAKEN_TIMEOUT_SECONDS = 30.0
# After a process has recorded its own size, it grows by at most this much before it executes the program.
SIZE_MARGIN_BYTES = 1_048_576
DOING = {
    "prepare": "become a command",
    "terminal": "open a terminal",
    "enter": "enter the folder",
    "execute": "execute the code",
}


class NotBegun(Exception):
    """The code has not run, and never will. The message says why."""


class NotTaken(NotBegun):
    """No process has taken the order, so it can be given again."""


class Command:
    """Owns the order, and the agent's ends of two sockets: one to the reaper, and one for the order."""

    def __init__(self, control: socket.socket, orders: socket.socket) -> None:
        self.reaper = Reaper(None, control)
        self._orders = orders
        self._orders.setblocking(False)
        self._order = -1
        self._has_terminal = False
        self._pid = 0
        self._start: int | None = None

    async def made(self) -> None:
        """Return when its process exists; raises NotBegun and NotTaken."""
        try:
            self._pid = await self.reaper.child()
        except NoChild as error:
            kind = NotTaken if self.reaper.is_lost else NotBegun
            raise kind(f"No process could be made: {error}") from error
        self._start = start_of(self._pid)

    async def order(self, content: Content, given: tuple[int, ...]) -> None:
        """Return when its process has taken this order and the descriptors; raises NotBegun and NotTaken.

        If it is cancelled after the command has begun, it returns normally. If it is cancelled before that, the command
        never begins.
        """
        self._has_terminal = content["terminal"] is not None
        try:
            self._order = make_order(content)
            socket.send_fds(self._orders, [ORDER_PACKET], [self._order, *given])
            is_taken = await self._is_taken()
        except ConnectionError:
            is_taken = False
        except asyncio.CancelledError:
            if not self._has_begun():
                raise
            is_taken = True
        except OSError as error:
            raise NotBegun(f"The command could not be ordered: {error.strerror}") from error
        self._orders.close()
        if not is_taken and not self._has_begun():
            raise NotTaken("The process that waited for an order has not taken it")

    async def _is_taken(self) -> bool:
        """Wait for the answer of its process. Raises ConnectionError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TAKEN_TIMEOUT_SECONDS):
                return await loop.sock_recv(self._orders, len(ORDER_PACKET)) == ORDER_PACKET
        except TimeoutError:
            return False

    def _has_begun(self) -> bool:
        """Whether the process has overwritten the order's file, as before any code.

        This seals the order, so a process that has not replaced it can no longer do so.
        """
        seal_order(self._order)
        return "argv" not in self._content()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of its process: negative for a signal, None while it runs or if its reaper was lost."""
        return self.reaper.exit_code

    def interrupt(self, asked: signal.Signals) -> None:
        """Send this signal to its process group, and continue a stopped group. A program can ignore the signal.

        With a terminal, the group in the foreground gets it, too.
        """
        others = beside_leader(self._pid, self.reaper.look_below()) if self._has_terminal else {}
        for number in (asked, signal.SIGCONT):
            self._signal(number)
            for pid, start in others.items():
                send_signal(pid, start, number)

    def tell_resized(self) -> None:
        """Send SIGWINCH to all its processes, where the system does not send it at a resize (gVisor)."""
        if foreground_of(self._pid) is None and not self.reaper.has_exited:
            for pid, start in self.reaper.look_below().items():
                send_signal(pid, start, signal.SIGWINCH)

    def _signal(self, number: signal.Signals) -> None:
        if self.reaper.has_exited or not self._pid:
            return
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            # The process does not lead a group yet, so it has no children.
            if self._start is not None:
                send_signal(self._pid, self._start, number)

    def kill(self) -> None:
        """Kill all its processes, now."""
        self.reaper.kill_tree()

    async def end(self) -> None:
        """End all its processes, and return when none is left. Raises UnkillableProcesses."""
        await self.reaper.end_tree()
        if self.reaper.is_lost:
            await end_strays(self.reaper.pid, self.reaper.start)

    def used(self) -> tuple[float | None, int | None]:
        """The CPU milliseconds of all its processes, and the size of the largest in bytes; None if unknown.

        Call it only when the command has ended. Raises NotBegun.
        """
        begun = self._begun()
        if not begun or self.reaper.is_lost:
            return None, None
        used = self.reaper.used
        # The system's maximum includes the size of the process before it executed the program.
        is_larger = used.max_rss_bytes > begun.max_rss_bytes + SIZE_MARGIN_BYTES
        cpu_ms = round(max(0.0, used.cpu_ms - begun.cpu_ms), 3)
        return cpu_ms, used.max_rss_bytes if is_larger else None

    def _begun(self) -> PastUse | None:
        """What its process had used of the machine when it began the code; None if a signal ended it before that."""
        content = self._content()
        if begun := content.get("begun"):
            return PastUse(**begun)
        if self.exit_code is not None and self.exit_code < 0:
            return None
        failed = content.get("failed", {"step": "prepare", "errno": 0})
        reason = os.strerror(failed["errno"]) if failed["errno"] else "unknown"
        raise NotBegun(f"It could not {DOING[failed['step']]}: {reason}")

    def _content(self) -> Content:
        try:
            return read_order(self._order)
        except ValueError:
            # A signal has ended the process while it replaced the order.
            return {}

    def close(self) -> None:
        """Stop listening to the reaper. The reaper ends by itself when nothing is left below it."""
        self.reaper.close()
        self._orders.close()
        if self._order >= 0:
            os.close(self._order)
            self._order = -1


# Every modern terminal emulator understands what programs send to a terminal of this type.
TERMINAL_TYPE = "xterm-256color"
SHELL = ("/bin/bash", "-c")
# The longest argument that Linux accepts: MAX_ARG_STRLEN, less the NUL at its end.
MAX_CODE_BYTES = 131_071


class Script(NamedTuple):
    """Code for the shell, the variables that it finds, and the folder that it begins in (None: the home)."""

    code: str
    variables: dict[str, str]
    directory: str | None
    terminal: TerminalSize | None = None

    def problem(self) -> str | None:
        """Why a program cannot be given this code; None if it can."""
        if len(self.code.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
            return f"The code is longer than {MAX_CODE_BYTES} bytes"
        return "The code contains a NUL character" if "\0" in self.code else None

    def content(self, environment: dict[str, str]) -> Content:
        """The order (cellhouse_commands/command.py). `environment` is that of all commands."""
        content: Content = {
            "argv": [*SHELL, self.code],
            "environment": {**environment, **self.variables},
            "directory": self.directory or HOME,
            "terminal": None,
        }
        if self.terminal:
            content["environment"] = {"TERM": TERMINAL_TYPE, **content["environment"]}
            content["terminal"] = self.terminal._asdict()
        return content


class Standard(NamedTuple):
    """The descriptors for a command's standard input, output and error. The caller keeps and closes them.

    With a terminal, they are a socket, over which the agent gets the terminal (cellhouse_commands/command.py).
    """

    input: int
    output: int
    error: int


# Which processes of a terminal's session get the signals that a keyboard or a window would send.

# Fields of /proc/<pid>/stat, counted as in processes/table.py.
GROUP_FIELD = 2
SESSION_FIELD = 3
FOREGROUND_FIELD = 5


def foreground_of(leader: int) -> int | None:
    """The group in the foreground; None if the leader has ended or, under gVisor, if the system does not report it."""
    try:
        group = int(stat_fields(str(leader))[FOREGROUND_FIELD])
    except OSError:
        return None
    return group if group > 0 else None


def beside_leader(leader: int, below: dict[int, int]) -> dict[int, int]:
    """The processes of `below` that are in the foreground group, unless the leader is in it, too.

    If the system does not report the foreground group, these are the processes of the session outside the leader's
    group.
    """
    foreground = foreground_of(leader)
    found = {}
    for pid, start in below.items():
        try:
            fields = stat_fields(str(pid))
        except OSError:
            continue
        group, session = int(fields[GROUP_FIELD]), int(fields[SESSION_FIELD])
        if session == leader != group and foreground in (None, group):
            found[pid] = start
    return found
