"""Runs requests one at a time, in order, each at most once, within its limits; keeps a kernel ready for the next.

States of the worker: restarting (no kernel answers) -> idle -> busy -> idle ...
supervision.py decides how an execution ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import NamedTuple

from cellhouse_agent.execution import Execution
from cellhouse_agent.frames import NO_PARENT, FrameWriter
from cellhouse_agent.home_watch import HomeWatch
from cellhouse_agent.kernel import Kernel
from cellhouse_agent.known_requests import KnownRequests
from cellhouse_agent.log import log_event
from cellhouse_agent.recent_ids import RecentIds
from cellhouse_agent.replay_buffer import ReplayBuffer
from cellhouse_agent.reply import made_reply
from cellhouse_agent.requests import ExecuteRequest
from cellhouse_agent.restart_waiters import RestartWaiters
from cellhouse_agent.supervision import Supervision
from cellhouse_agent.usage import Usage
from cellhouse_agent.usage_sampler import UsageSampler
from cellhouse_agent.verdict import Verdict, was_out_of_memory
from cellhouse_agent.wire import JsonObject, KernelMessage

# The most requests in the queue. A gateway keeps its own queue and sends one request after another, so a few suffice.
MAX_QUEUED_REQUESTS = 64
# Interrupts that are remembered: more than enough, since a gateway repeats an interrupt only until it has stored the
# end of the execution.
MAX_REMEMBERED_INTERRUPTS = 10_000
# An execution that takes less time than this ends by its messages alone, without waking `run`.
SHORT_SECONDS = 0.02


class QueueFull(Exception):
    """More requests than the agent accepts at a time."""


class Interrupted(NamedTuple):
    """What an interrupt found."""

    # The request was running or queued.
    interrupted: bool
    # The request had arrived before. If not, it will not run when it arrives.
    known: bool


class Executor:
    """The queue in front of the kernel.

    `run` is its only task. The callbacks begin and end short executions themselves, and wake `run` for all else.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        writer: FrameWriter,
        usage: Usage,
        home: HomeWatch | None = None,
    ) -> None:
        """Without a `home`, replies say nothing of changed files."""
        self._buffer = buffer
        self._writer = writer
        self._usage = usage
        self._home = home
        # Looks at what an execution has changed, before its end is written.
        self._look: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._kernel: Kernel | None = None
        self._variables: dict[str, str] = {}
        self._known = KnownRequests()
        self._queue: deque[tuple[ExecuteRequest, int]] = deque()
        self._running: Supervision | None = None
        # The kernel's generation when the running request was accepted.
        self._running_since = 0
        self._is_waiting = False
        # Wakes `run` for an execution that is not short.
        self._attention: asyncio.TimerHandle | None = None
        self._interrupts = RecentIds(MAX_REMEMBERED_INTERRUPTS)
        self._refused = RecentIds(MAX_REMEMBERED_INTERRUPTS)
        self._restart_waiters = RestartWaiters()
        self._changed = asyncio.Event()
        self._exit_watch: asyncio.Task[None] | None = None
        self._idle_oom_kills = 0
        self._failure: Exception | None = None
        self.stray_messages = 0

    @property
    def generation(self) -> int:
        """How many kernels this worker has had."""
        return self._kernel.generation if self._kernel else 0

    @property
    def state(self) -> str:
        """`idle`, `busy` or `restarting`."""
        if self._running:
            return "busy"
        return "idle" if self._kernel and self._kernel.is_ready else "restarting"

    def submit(self, request: ExecuteRequest) -> None:
        """Queue a request, or ignore one that was accepted before. Raises QueueFull."""
        if request.msg_id in self._known:
            return
        if len(self._queue) >= MAX_QUEUED_REQUESTS or self._known.is_full:
            raise QueueFull
        self._known.add(request.msg_id)
        if request.msg_id in self._refused:
            self._end_unstarted(request, self.generation)
            return
        self._queue.append((request, self.generation))
        is_idle = self._is_waiting and not self._running and not self._changed.is_set()
        is_idle = is_idle and not (self._home and self._home.is_renewing)
        if is_idle and self._kernel and self._kernel.is_ready:
            # Begin now, without waiting until `run` gets its turn.
            try:
                self._begin(self._kernel)
            except Exception as error:
                self._fail(error)
        else:
            self._changed.set()

    def ack(self, seq: int) -> None:
        """A gateway has stored everything up to seq."""
        if seq <= self._buffer.last_seq:
            self._known.ack(seq)
            self._buffer.ack(seq)

    def interrupt(self, msg_id: str, request_id: str | None = None) -> Interrupted:
        """
        Interrupt this request if it runs, or take it out of the queue. If it has not arrived yet, it will never run.
        Repeating a request_id has no further effect.
        """
        if self._running and self._running.execution.request.msg_id == msg_id:
            if request_id is None or self._interrupts.add(request_id):
                self._running.interrupt()
            return Interrupted(True, True)
        for entry in self._queue:
            if entry[0].msg_id == msg_id:
                self._queue.remove(entry)
                self._end_unstarted(*entry)
                return Interrupted(True, True)
        if msg_id in self._known:
            return Interrupted(False, True)
        self._refused.add(msg_id)
        return Interrupted(False, False)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these in the environment of the kernel, before the next code, and of every kernel after it."""
        self._variables = variables
        if self._kernel:
            self._kernel.set_variables(variables)

    async def restart(self) -> int:
        """Replace the kernel; returns the new generation once it is ready."""
        waiter = self._restart_waiters.add()
        self._changed.set()
        return await waiter

    def on_message(self, channel: str, message: KernelMessage) -> None:
        """Handle a message from the kernel; only one that belongs to the running execution counts."""
        running = self._running
        if running:
            running.heard()
        if running and message.parent_msg_id == running.execution.request.msg_id:
            running.execution.accept(channel, message)
            verdict = running.verdict_of_messages()
            if verdict:
                try:
                    self._end(running, verdict)
                except Exception as error:
                    self._fail(error)
            elif running.needs_look:
                self._changed.set()
        else:
            self.stray_messages += 1

    def _fail(self, error: Exception) -> None:
        """Have `run` raise this error, which ends the agent: it could not report how this execution ended."""
        self._failure = error
        self._changed.set()

    async def run(self, kernel: Kernel) -> None:
        """
        Serve for ever, beginning with a ready kernel.
        Raises KernelStartError when no replacement can be started, and any error given to `_fail`.
        """
        self._kernel = kernel
        kernel.set_variables(self._variables)
        self._exit_watch = asyncio.create_task(self._tell_exit(kernel))
        self._idle_oom_kills = self._usage.oom_kills()
        if self._home:
            # The kernel's start has made folders of its own.
            self._home.renew()
        while True:
            self._changed.clear()
            if self._failure:
                raise self._failure
            if self._look:
                await self._wait_for_word()
            elif self._running:
                await self._finish(kernel, self._running)
            elif self._restart_waiters:
                await self._replace_kernel("user")
            elif kernel.has_exited:
                has_oom_kill = self._usage.oom_kills() > self._idle_oom_kills
                was_oom = was_out_of_memory(kernel.exit_code, has_oom_kill)
                await self._replace_kernel("oom" if was_oom else "died")
            elif self._queue and self._home and self._home.is_renewing:
                await self._home.renewed()
            elif self._queue:
                self._begin(kernel)
            else:
                await self._wait_for_word()

    async def _tell_exit(self, kernel: Kernel) -> None:
        await kernel.wait_exited()
        self._changed.set()

    async def _wait_for_word(self) -> None:
        self._is_waiting = True
        try:
            await self._changed.wait()
        finally:
            self._is_waiting = False

    def _begin(self, kernel: Kernel) -> None:
        """Send the first request of the queue to a kernel that is ready."""
        request, self._running_since = self._queue.popleft()
        execution = Execution(request, self._writer, self._loop.time)
        if self._home:
            self._home.begin(kernel.process_id)
        kernel.execute(request.msg_id, request.code, execution.end_key)
        self._running = Supervision(
            kernel,
            execution,
            UsageSampler(self._usage),
            self._changed,
            lambda: bool(self._restart_waiters),
        )
        look_in = min(SHORT_SECONDS, request.timeout_ms / 1000)
        self._attention = self._loop.call_later(look_in, self._changed.set)

    async def _finish(self, kernel: Kernel, running: Supervision) -> None:
        """Supervise the running execution to its end, and replace its kernel if that is necessary."""
        verdict = await running.run()
        if verdict:
            self._end(running, verdict)
            if verdict.restart_reason:
                await self._start_kernel(kernel, verdict.restart_reason)

    def _end(self, running: Supervision, verdict: Verdict) -> None:
        """Find out how the execution ended, and write it, now or after a look at what it has changed."""
        kernel, execution, sampler = running.kernel, running.execution, running.sampler
        running.has_ended = True
        finished_at = time.time() * 1000
        if verdict.restart_reason:
            kernel.halt()
        execution.start()
        if verdict.restart_reason:
            self._writer.status("restarting", NO_PARENT, verdict.restart_reason)
        if self._attention:
            self._attention.cancel()
        cpu_ms, peak_memory_bytes = sampler.stop()
        self._idle_oom_kills = self._usage.oom_kills()
        report: JsonObject = {
            "outcome": verdict.outcome,
            "state_lost": verdict.restart_reason is not None
            or kernel.generation != self._running_since,
            "started_at": execution.started_at,
            "finished_at": max(finished_at, execution.started_at or 0),
            "cpu_ms": cpu_ms,
            "peak_memory_bytes": peak_memory_bytes,
            "output_bytes": execution.output_bytes,
            "dropped_bytes": execution.dropped_bytes,
            "exit_code": verdict.exit_code,
        }
        if not self._home:
            self._write_end(execution, verdict, report)
        elif verdict.restart_reason:
            self._write_end(execution, verdict, {**report, "files": self._home.lose()})
        elif files := self._home.end(execution.has_other_code):
            self._write_end(execution, verdict, {**report, "files": files})
        else:
            looking = self._look_and_write_end(self._home, execution, verdict, report)
            self._look = asyncio.create_task(looking)

    async def _look_and_write_end(
        self, home: HomeWatch, execution: Execution, verdict: Verdict, report: JsonObject
    ) -> None:
        try:
            files = await home.look()
            self._look = None
            self._write_end(execution, verdict, {**report, "files": files})
        except Exception as error:
            self._fail(error)
        # Whatever happened during the look was not looked at.
        self._changed.set()

    def _write_end(self, execution: Execution, verdict: Verdict, report: JsonObject) -> None:
        """Write how the execution ended, and let the next one begin."""
        self._running = None
        execution.write_end(verdict.reply, report)
        self._known.ended(execution.request.msg_id, self._buffer.last_seq)
        if not self._is_waiting or self._queue or self._restart_waiters:
            self._changed.set()

    async def _replace_kernel(self, reason: str) -> None:
        """Replace a kernel that runs nothing."""
        if self._kernel:
            self._kernel.halt()
            self._writer.status("restarting", NO_PARENT, reason)
            await self._start_kernel(self._kernel, reason)

    async def _start_kernel(self, kernel: Kernel, reason: str) -> None:
        waiters = self._restart_waiters.take()
        started = self._loop.time()
        await kernel.end()
        await kernel.start()
        if self._home:
            self._home.settle()
        self._exit_watch = asyncio.create_task(self._tell_exit(kernel))
        self._idle_oom_kills = self._usage.oom_kills()
        duration_ms = round((self._loop.time() - started) * 1000)
        log_event("kernel_replaced", reason=reason, generation=kernel.generation, ms=duration_ms)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(kernel.generation)

    def _end_unstarted(self, request: ExecuteRequest, generation: int) -> None:
        """Answer a request that was interrupted in the queue."""
        execution = Execution(request, self._writer, self._loop.time)
        report: JsonObject = {
            "outcome": "interrupted",
            "state_lost": self.generation != generation,
            "started_at": None,
            "finished_at": time.time() * 1000,
            "cpu_ms": 0,
            "peak_memory_bytes": 0,
            "output_bytes": 0,
            "dropped_bytes": 0,
            "exit_code": None,
        }
        execution.write_end(made_reply("KeyboardInterrupt", "Interrupted while queued"), report)
        self._known.ended(request.msg_id, self._buffer.last_seq)
