"""One cell's run in the kernel of its lane: from the sending of its code to its last frame.

States: running -> ended (the outcome is known) -> scanning (for its changes in the home, if need be) -> written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cellhouse_agent.executions.execution import CellInput, Execution
from cellhouse_agent.executions.kernel_keeper import KernelKeeper
from cellhouse_agent.executions.record import SharedParts
from cellhouse_agent.executions.supervision import Supervision, Verdict
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.home import HomeChanges, HomeWatch
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.link import KernelMessage
from cellhouse_agent.usage.meter import UsageSampler

# An execution that takes less time than this ends by its messages alone, without waking its lane's `run`.
SHORT_SECONDS = 0.02


class Queued(NamedTuple):
    """A request, and the generation of the kernel when it was accepted."""

    request: ExecuteRequest
    generation: int


class CellRun:
    """The constructor sends the code to the kernel, which must be ready. `keeper.changed` wakes `finish`."""

    def __init__(
        self, queued: Queued, keeper: KernelKeeper, parts: SharedParts, written: Callable[[], None]
    ) -> None:
        request, self._accepted_at = queued
        self._keeper = keeper
        self._parts = parts
        self._written = written
        self._changes: HomeChanges | None = None
        self._scanning: asyncio.Task[None] | None = None
        self.failure: Exception | None = None
        # Whether threads or tasks go on in the kernel after the cell.
        self.leaves_code = False
        loop = asyncio.get_running_loop()
        kernel = keeper.kernel
        self._execution = Execution(request, parts.writer, loop.time)
        if parts.home:
            self._changes = parts.home.begin(parts.quiet_kernels() | {kernel.process_id})
        if buffer := parts.inputs.of(request.msg_id):
            self._execution.cell_input = CellInput(buffer, kernel, request.msg_id)
        may_ask = self._execution.cell_input is not None
        end_key = self._execution.end_key
        kernel.execute(
            request.msg_id, request.code, end_key, request.surroundings, may_ask, request.options
        )
        self._running = Supervision(
            kernel,
            self._execution,
            UsageSampler(keeper.meter, parts.trees),
            keeper.changed,
            keeper.is_restart_asked,
        )
        # Wakes `finish` for an execution that is not short.
        wake_in = min(SHORT_SECONDS, request.timeout_ms / 1000)
        self._wake_timer = loop.call_later(wake_in, keeper.changed.set)

    @property
    def msg_id(self) -> str:
        """The id of its request."""
        return self._execution.request.msg_id

    @property
    def is_scanning(self) -> bool:
        """Whether it has ended, and its end is written after a scan of the home."""
        return self._scanning is not None

    def interrupt(self) -> None:
        """Interrupt it as soon as possible."""
        self._running.interrupt()

    def hear(self, channel: str, message: KernelMessage) -> bool:
        """Take a message of its kernel; false if it belongs to no running execution."""
        running = self._running
        running.heard()
        if message.parent_msg_id != self.msg_id:
            return False
        self._execution.accept(channel, message)
        if verdict := running.verdict_of_messages():
            try:
                self._end(verdict)
            except Exception as error:
                self._fail(error)
        elif running.needs_look:
            self._keeper.changed.set()
        return True

    async def finish(self) -> None:
        """Supervise it to its end, and replace its kernel if that is necessary."""
        verdict = await self._running.run()
        if verdict:
            self._end(verdict)
            if verdict.restart_reason:
                await self._keeper.start_again(verdict.restart_reason)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._keeper.changed.set()

    def _end(self, verdict: Verdict) -> None:
        """Find out how it ended, and write that, now or after a scan for its changes in the home."""
        is_other_kernel = self._keeper.generation != self._accepted_at
        ending = end_execution(self._running, verdict, is_other_kernel, self._keeper.tell_replaced)
        self._wake_timer.cancel()
        self.leaves_code = self._execution.leaves_code and not verdict.restart_reason
        home, changes = self._parts.home, self._changes
        if not home or not changes:
            self._write(ending, None)
        elif verdict.restart_reason:
            self._write(ending, home.lose(changes))
        elif files := home.end(changes, self._execution.has_other_code):
            self._write(ending, files)
        else:
            self._scanning = asyncio.create_task(self._scan_and_write(home, changes, ending))

    async def _scan_and_write(self, home: HomeWatch, changes: HomeChanges, ending: Ending) -> None:
        try:
            self._write(ending, await home.scan(changes))
        except Exception as error:
            self._fail(error)
        # Meanwhile the lane's `run` has handled nothing: let it check everything now.
        self._keeper.changed.set()

    def _write(self, ending: Ending, files: JsonObject | None) -> None:
        ending.write(files)
        self._parts.ended(self.msg_id)
        self._written()


@dataclass(frozen=True)
class Ending:
    """The end of an execution, except for its changes in the home."""

    execution: Execution
    verdict: Verdict
    report: JsonObject

    def write(self, files: JsonObject | None) -> None:
        """Write the last frames; `files` has its changes in the home, None if the home is not watched."""
        report = self.report if files is None else {**self.report, "files": files}
        self.execution.write_end(self.verdict.reply, report)


def end_execution(
    running: Supervision,
    verdict: Verdict,
    is_other_kernel: bool,
    tell_replaced: Callable[[str], None],
) -> Ending:
    """End the execution, and its kernel if that must be replaced.

    `is_other_kernel`: the request was accepted for an earlier kernel.
    """
    execution = running.execution
    running.has_ended = True
    finished_at = time.time() * 1000
    if verdict.restart_reason:
        running.kernel.halt()
    execution.start()
    if verdict.restart_reason:
        tell_replaced(verdict.restart_reason)
    cpu_ms, peak_memory_bytes = running.sampler.stop(verdict.restart_reason == "oom")
    report: JsonObject = {
        "outcome": verdict.outcome,
        "state_lost": verdict.restart_reason is not None or is_other_kernel,
        "started_at": execution.started_at,
        "finished_at": max(finished_at, execution.started_at or 0),
        "cpu_ms": cpu_ms,
        "peak_memory_bytes": peak_memory_bytes,
        "output_bytes": execution.output_bytes,
        "dropped_bytes": execution.dropped_bytes,
        "exit_code": verdict.exit_code,
    }
    return Ending(execution, verdict, report)
