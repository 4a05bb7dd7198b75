"""One execution's turn on the kernel of its lane: from the sending of its code to its last frame.

States: running -> ended (the outcome is known) -> looking (at what it changed in the home, if need be) -> written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from cellhouse_agent.asking import Asking
from cellhouse_agent.ending import Ending, end_execution
from cellhouse_agent.execution import Execution
from cellhouse_agent.home_watch import HomeWatch
from cellhouse_agent.kept_kernel import KeptKernel
from cellhouse_agent.lane_parts import LaneParts
from cellhouse_agent.look import Look
from cellhouse_agent.requests import ExecuteRequest
from cellhouse_agent.supervision import Supervision
from cellhouse_agent.usage_sampler import UsageSampler
from cellhouse_agent.verdict import Verdict
from cellhouse_agent.wire import JsonObject, KernelMessage

# An execution that takes less time than this ends by its messages alone, without waking its lane's `run`.
SHORT_SECONDS = 0.02


class Queued(NamedTuple):
    """A request, and the generation of the kernel when it was accepted."""

    request: ExecuteRequest
    generation: int


class Turn:
    """Its constructor sends the code to the kernel, which is ready. `kept.changed` is set when `finish` must act."""

    def __init__(
        self, queued: Queued, kept: KeptKernel, parts: LaneParts, written: Callable[[], None]
    ) -> None:
        request, self._accepted_at = queued
        self._kept = kept
        self._parts = parts
        self._written = written
        self._look: Look | None = None
        self._looking: asyncio.Task[None] | None = None
        self.failure: Exception | None = None
        # Whether threads or tasks go on in the kernel after its end.
        self.leaves_code = False
        loop = asyncio.get_running_loop()
        kernel = kept.kernel
        self._execution = Execution(request, parts.writer, loop.time)
        if parts.home:
            self._look = parts.home.begin(parts.quiet_kernels() | {kernel.process_id})
        if buffer := parts.inputs.of(request.msg_id):
            self._execution.asking = Asking(buffer, kernel, request.msg_id)
        may_ask = self._execution.asking is not None
        end_key = self._execution.end_key
        kernel.execute(
            request.msg_id, request.code, end_key, request.surroundings, may_ask, request.options
        )
        self._running = Supervision(
            kernel,
            self._execution,
            UsageSampler(kept.meter, parts.trees),
            kept.changed,
            kept.is_restart_asked,
        )
        # Wakes `finish` for an execution that is not short.
        look_in = min(SHORT_SECONDS, request.timeout_ms / 1000)
        self._attention = loop.call_later(look_in, kept.changed.set)

    @property
    def msg_id(self) -> str:
        """The id of its request."""
        return self._execution.request.msg_id

    @property
    def is_looking(self) -> bool:
        """Whether it has ended, and its end is about to be written."""
        return self._looking is not None

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
            self._kept.changed.set()
        return True

    async def finish(self) -> None:
        """Supervise it to its end, and replace its kernel if that is necessary."""
        verdict = await self._running.run()
        if verdict:
            self._end(verdict)
            if verdict.restart_reason:
                await self._kept.start_again(verdict.restart_reason)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._kept.changed.set()

    def _end(self, verdict: Verdict) -> None:
        """Find out how it ended, and write that, now or after a look at what it has changed."""
        is_other_kernel = self._kept.generation != self._accepted_at
        ending = end_execution(self._running, verdict, is_other_kernel, self._kept.tell_replaced)
        self._attention.cancel()
        self.leaves_code = self._execution.leaves_code and not verdict.restart_reason
        home, look = self._parts.home, self._look
        if not home or not look:
            self._write(ending, None)
        elif verdict.restart_reason:
            self._write(ending, home.lose(look))
        elif files := home.end(look, self._execution.has_other_code):
            self._write(ending, files)
        else:
            self._looking = asyncio.create_task(self._look_and_write(home, look, ending))

    async def _look_and_write(self, home: HomeWatch, look: Look, ending: Ending) -> None:
        try:
            self._write(ending, await home.look(look))
        except Exception as error:
            self._fail(error)
        # Meanwhile the lane's `run` has handled nothing: let it check everything now.
        self._kept.changed.set()

    def _write(self, ending: Ending, files: JsonObject | None) -> None:
        ending.write(files)
        self._parts.ended(self.msg_id)
        self._written()
