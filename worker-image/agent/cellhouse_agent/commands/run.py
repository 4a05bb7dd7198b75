"""One command's run: from the order to its last frame, within its limits.

States: ordered -> running (`busy` is written) -> ended (its own process has ended) -> written. At its limit, a command
gets SIGINT; an interrupt sends it the requested signal instead. It gets SIGKILL at the end of the grace time. All
processes that it has started end with it.

A command has no variables to lose, so its grace time is not stretched on a busy machine (processes/grace.py).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from cellhouse_agent.commands.command import Command, NotBegun, Script, Standard
from cellhouse_agent.commands.spawner import abandon, withdrawn
from cellhouse_agent.commands.streams import Pipes, Streams
from cellhouse_agent.executions.cell_run import SHORT_SECONDS
from cellhouse_agent.executions.outputs import made_reply
from cellhouse_agent.executions.record import INTERRUPTED, Record, SharedParts
from cellhouse_agent.gateway.requests import ExecuteRequest, TerminalSize
from cellhouse_agent.home import HomeChanges
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.usage.meter import PeakSampler, TreeMeter

if TYPE_CHECKING:
    from cellhouse_agent.commands.terminal import Terminal

# Makes a command with these descriptors. Raises NotBegun.
type OrderCommand = Callable[[Script, Standard], Awaitable[Command]]


class CommandRun:
    """Runs one request, once it has its turn."""

    def __init__(self, request: ExecuteRequest, parts: SharedParts) -> None:
        self.request = request
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._record = Record(request, parts.writer)
        self._limits = Limits(request.timeout_ms)
        # Set while the command runs.
        self._command: Command | None = None
        # Set during its grace time.
        self._ending: Command | None = None
        # The size of its terminal: the requested one, or the last one that was set.
        self._size = request.command.terminal if request.command else None
        self._terminal: Terminal | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody has interrupted it."""
        return self._limits.is_interrupted

    def resize(self, size: TerminalSize) -> bool:
        """Change the size of its terminal, also before it begins; false if it has none."""
        if not self._size:
            return False
        self._size = size
        if self._terminal:
            self._terminal.resize(size)
        if self._terminal and self._command:
            self._command.tell_resized()
        return True

    def interrupt(self, number: signal.Signals) -> None:
        """Interrupt it with this signal as soon as possible. SIGKILL ends its grace time."""
        self._limits.interrupt(number)
        if self._ending and number != signal.SIGKILL:
            self._ending.interrupt(number)

    def end_unstarted(self) -> None:
        """Answer it as interrupted before its turn."""
        INTERRUPTED.end(self._record, False)
        self._parts.ended(self.request.msg_id)

    async def run(self, order: OrderCommand, script: Script) -> None:
        """Run it to its last frame. Raises any error that leaves the agent unable to tell how it ended."""
        home = self._parts.home
        changes = home.begin(self._parts.quiet_kernels()) if home else None
        self._limits.begin()
        try:
            streams = self._streams()
        except OSError as error:
            ended = self._not_begun(error)
        else:
            with closing(streams):
                ended = await self._run(order, script._replace(terminal=self._size), streams)
        self._terminal = None
        self._write(ended, await self._files(changes))

    def _streams(self) -> Streams:
        """Raises OSError."""
        buffer = self._parts.inputs.of(self.request.msg_id)
        if not self._size or not buffer:
            return Pipes(self._take, buffer)
        # Imported only here, since few commands have a terminal.
        from cellhouse_agent.commands.terminal import Terminal

        self._terminal = Terminal(self._take, buffer)
        return self._terminal

    async def _run(self, order: OrderCommand, script: Script, streams: Streams) -> Ended:
        ordering = asyncio.ensure_future(order(script, streams.given))
        try:
            await self._limits.wait(ordering)
            command = await withdrawn(ordering)
        except (NotBegun, OSError) as error:
            return self._not_begun(error)
        except asyncio.CancelledError:
            await abandon(ordering)
            raise
        if not command:
            why = "It was interrupted" if self.is_interrupted else "Its time limit was reached"
            return self._not_begun(NotBegun(f"{why} before there was a process for it"))
        return await self._supervise(command, streams)

    def _not_begun(self, error: NotBegun | OSError) -> Ended:
        if self.is_interrupted:
            self._limits.outcome = "interrupted"
        return not_begun(error, time.time() * 1000)

    def _take(self, name: str, data: bytes, is_text: bool) -> None:
        keep = self._record.keep_stream if is_text else self._record.keep_bytes
        keep(name, data)

    async def _supervise(self, command: Command, streams: Streams) -> Ended:
        """Supervise the command until none of its processes is left."""
        self._command = command
        self._parts.trees.execution_begins()
        meter = TreeMeter(command.pid, command.reaper, self._parts.trees)
        sampler = PeakSampler(meter, self._parts.trees)
        # A short command is not worth a sample.
        sampling_timer = self._loop.call_later(SHORT_SECONDS, sampler.watch)
        try:
            self._record.start(pid=command.pid)
            streams.begin()
            await self._wait_exited(command)
            is_killed = not command.reaper.has_exited
            finished_at = time.time() * 1000
            was_oom = not is_killed and self._was_out_of_memory(command.exit_code)
            await command.end()
            streams.read_rest()
            finished_at = time.time() * 1000 if is_killed else finished_at
            return ended_command(command, finished_at, was_oom, sampler.peak_bytes)
        except asyncio.CancelledError:
            command.kill()
            raise
        finally:
            self._command = self._ending = None
            sampling_timer.cancel()
            sampler.unwatch()
            meter.close()
            command.close()

    def _was_out_of_memory(self, exit_code: int | None) -> bool:
        """Whether it was killed because memory ran out. Call it only once."""
        was_oom = exit_code is not None and self._parts.trees.oom.explains(exit_code)
        if was_oom and self._limits.outcome == "finished":
            self._limits.outcome = "out_of_memory"
        return was_oom

    async def _wait_exited(self, command: Command) -> None:
        """Return when its own process has ended, or must be killed."""
        exit_watch = asyncio.ensure_future(command.reaper.wait_exited())
        try:
            if not await self._limits.wait(exit_watch):
                self._ending = command
                if self._limits.signal != signal.SIGKILL:
                    command.interrupt(self._limits.signal)
                await self._limits.give_grace(exit_watch, self.request.grace_ms)
        finally:
            exit_watch.cancel()

    async def _files(self, changes: HomeChanges | None) -> JsonObject | None:
        """The changes in the home meanwhile; None if the home is not watched."""
        home = self._parts.home
        if not home or not changes:
            return None
        return home.end(changes, False) or await home.scan(changes)

    def _write(self, ended: Ended, files: JsonObject | None) -> None:
        """Write the last frames."""
        report: JsonObject = {
            "outcome": self._limits.outcome,
            "state_lost": False,
            "started_at": self._record.started_at,
            "finished_at": max(ended.finished_at, self._record.started_at or 0),
            "cpu_ms": ended.cpu_ms,
            "peak_memory_bytes": ended.peak_memory_bytes,
            "output_bytes": self._record.output_bytes,
            "dropped_bytes": self._record.dropped_bytes,
            "exit_code": ended.exit_code,
            "signal": ended.signal,
        }
        if files is not None:
            report["files"] = files
        self._record.write_end(ended.reply, report)
        self._parts.ended(self.request.msg_id)


class Limits:
    """Ends a command early: at its time limit, or when somebody interrupts it.

    The limits apply from its turn on, even while its process is being made.
    """

    def __init__(self, timeout_ms: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_ms = timeout_ms
        self._deadline = 0.0
        self._interrupted: asyncio.Future[None] = self._loop.create_future()
        self._killed = asyncio.Event()
        # The signal that its processes get first.
        self.signal: signal.Signals = signal.SIGINT
        # `timeout` or `interrupted` if that ended the last wait; otherwise `finished`. CommandRun may replace it.
        self.outcome = "finished"

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody has interrupted it."""
        return self._interrupted.done()

    def interrupt(self, number: signal.Signals) -> None:
        """Interrupt the command with this signal. May be called again: SIGKILL then ends the grace time."""
        if number == signal.SIGKILL:
            self._killed.set()
        if not self.is_interrupted:
            self.signal = number
            self._interrupted.set_result(None)

    def begin(self) -> None:
        """Its time counts from now on."""
        self._deadline = self._loop.time() + self._timeout_ms / 1000

    async def wait(self, step: asyncio.Future[Any]) -> bool:
        """Wait for this step; false if the time limit or an interrupt comes first."""
        remaining = max(0.0, self._deadline - self._loop.time())
        awaited = (step, self._interrupted)
        await asyncio.wait(awaited, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            self.outcome = "finished"
        else:
            self.outcome = "interrupted" if self.is_interrupted else "timeout"
        return step.done()

    async def give_grace(self, exit_watch: asyncio.Future[None], grace_ms: int) -> None:
        """Return when `exit_watch` is done, the grace time is over, or SIGKILL was asked for."""
        killing = asyncio.ensure_future(self._killed.wait())
        try:
            watches: list[asyncio.Future[Any]] = [exit_watch, killing]
            grace_seconds = grace_ms / 1000
            await asyncio.wait(watches, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            killing.cancel()


class Ended(NamedTuple):
    """How a command ended, as its reply reports it.

    One of `exit_code` and `signal` is set. Neither is set if the code has not run, or if its end is unknown.
    """

    reply: JsonObject
    finished_at: float
    exit_code: int | None = None
    signal: str | None = None
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None


def not_begun(error: NotBegun | OSError, finished_at: float) -> Ended:
    """The code has not run."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    reply = made_reply("CommandNotStarted", reason or "unknown")
    return Ended(reply, finished_at, cpu_ms=0, peak_memory_bytes=0)


def ended_command(command: Command, finished_at: float, was_oom: bool, peak_bytes: int) -> Ended:
    """The end of a command that has no process left; `was_oom`: it was killed because memory ran out.

    `peak_bytes` is the most memory in any sample, 0 if there was none.
    """
    try:
        cpu_ms, largest_bytes = command.used()
    except NotBegun as error:
        return not_begun(error, finished_at)
    code = command.exit_code
    if code is None:
        lost = made_reply("CommandLost", "The worker lost sight of the command, and ended it")
        return Ended(lost, finished_at)
    reply: JsonObject = {"status": "ok", "execution_count": None}
    if was_oom:
        reply = made_reply("OutOfMemory", "The memory limit was reached; the command was killed")
    peak_memory_bytes = max(largest_bytes or 0, peak_bytes) or None
    exit_code, name = (code, None) if code >= 0 else (None, signal_name(-code))
    return Ended(reply, finished_at, exit_code, name, cpu_ms, peak_memory_bytes)


def signal_name(number: int) -> str:
    """The name of a signal, such as SIGKILL. For a signal without a name: SIG and its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
