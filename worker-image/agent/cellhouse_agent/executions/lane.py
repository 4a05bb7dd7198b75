"""Runs the requests of one kernel one at a time, in order, within their limits; keeps a kernel ready for the next.

States: restarting (no kernel answers) -> idle -> busy -> idle ... . If no kernel can be started, all requests that
wait for one fail, and the next request tries again. The lanes of one worker run concurrently.
cell_run.py handles one execution, and supervision.py decides how it ends.
"""

from __future__ import annotations

import asyncio

from cellhouse_agent.executions.cell_run import CellRun, Queued
from cellhouse_agent.executions.kernel_keeper import KernelKeeper, NoKernel
from cellhouse_agent.executions.questions import OpenQuestion, Question
from cellhouse_agent.executions.record import INTERRUPTED, NO_KERNEL, Record, SharedParts, Unstarted
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.link import KernelMessage

# The most requests in the queue. A gateway keeps its own queue and sends one request after another, so a few suffice.
MAX_QUEUED_REQUESTS = 64


class Lane:
    """A queue in front of a kernel.

    `run` is its only task. But `submit` begins an execution at once if the kernel is free, and `on_message` ends it
    when its messages show the end. So a short execution need not wake `run` (cell_run.py).
    """

    def __init__(self, parts: SharedParts, context_id: str | None = None) -> None:
        """Make the lane of a context or, without a `context_id`, of the default kernel."""
        self._parts = parts
        self._changed = asyncio.Event()
        self._keeper = KernelKeeper(parts, self._changed, context_id)
        # The queued requests by their msg_id, in order.
        self._queue: dict[str, Queued] = {}
        self._cell: CellRun | None = None
        self._has_left_code = False
        self._open_question = OpenQuestion(self._free_again, parts.writer.max_message_bytes)
        self._is_waiting = False
        self._failure: Exception | None = None
        self.stray_messages = 0

    @property
    def generation(self) -> int:
        """How many kernels this lane has had."""
        return self._keeper.generation

    @property
    def state(self) -> str:
        """`idle`, `busy` or `restarting`."""
        if self._cell:
            return "busy"
        return "idle" if self._keeper.is_ready else "restarting"

    @property
    def process_id(self) -> int | None:
        """The process of the kernel."""
        return self._keeper.process_id

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel runs no code at all, not even a thread or a task of earlier code."""
        return self.state == "idle" and not self._has_left_code and not self._open_question.is_open

    @property
    def is_full(self) -> bool:
        """Whether no more requests may be queued."""
        return len(self._queue) >= MAX_QUEUED_REQUESTS

    def submit(self, request: ExecuteRequest) -> None:
        """Queue a request that was never submitted before."""
        self._queue[request.msg_id] = Queued(request, self.generation)
        if self._is_free and not self._is_home_renewing:
            # Begin now, without waiting until `run` gets its turn.
            try:
                self._begin()
            except Exception as error:
                self._failure = error
                self._changed.set()
        else:
            self._changed.set()

    @property
    def _is_free(self) -> bool:
        """Whether the kernel is idle, and `run` has nothing to do either."""
        is_idle = self._is_waiting and not self._cell and not self._changed.is_set()
        return is_idle and self._keeper.is_ready and not self._open_question.is_under_way

    async def ask(self, question: Question) -> JsonObject | None:
        """Ask the kernel; None if it is not free, or gives no usable answer in time."""
        if self._changed.is_set():
            # An execution may have just ended, and `run` may not have handled that yet.
            await asyncio.sleep(0)
        if not self._is_free or self._queue or self._open_question.is_open:
            return None
        return await self._open_question.ask(question, self._keeper.kernel)

    def _free_again(self, leaves_code: bool) -> None:
        """The kernel has answered, or its answer is no longer awaited."""
        self._has_left_code = leaves_code
        self._changed.set()

    def refuse(self, request: ExecuteRequest) -> None:
        """Answer, as interrupted, a request that was interrupted before it arrived, or whose context was deleted."""
        self._end_unstarted(Queued(request, self.generation), INTERRUPTED)

    def interrupt(self, msg_id: str, is_new: bool) -> None:
        """Take this request out of the queue, or interrupt it if it runs, unless this only repeats an interrupt."""
        if self._cell and self._cell.msg_id == msg_id:
            if is_new:
                self._cell.interrupt()
        elif queued := self._queue.pop(msg_id, None):
            self._end_unstarted(queued, INTERRUPTED)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these environment variables in the kernel before it runs more code, and in every later kernel."""
        self._keeper.set_variables(variables)

    async def restart(self) -> int:
        """Replace the kernel; returns the new generation once it is ready. Raises NoContext and NoKernel."""
        return await self._keeper.restart()

    def end(self) -> None:
        """End the queued requests as interrupted. `run` then ends the running one, ends the kernel and returns.

        If `run` was not called yet, it need not be called any more. Then the caller ends the kernel.
        """
        self._keeper.begin_end()
        self._empty_queue(INTERRUPTED)
        self._changed.set()

    def give_up(self) -> None:
        """No kernel can be started: answer everything that waits for one."""
        self._empty_queue(NO_KERNEL)
        self._keeper.waiters.refuse(NoKernel())

    def on_message(self, channel: str, message: KernelMessage) -> None:
        """Handle a message from the kernel; one about neither the running execution nor a question is ignored."""
        if self._cell and self._cell.hear(channel, message):
            return
        if not self._open_question.hear(channel, message):
            self.stray_messages += 1

    async def run(self, kernel: Kernel) -> None:
        """
        Serve, beginning with a ready kernel, until `end`.
        Raises any error that leaves the agent unable to tell how an execution ended. In a context, also raises
        KernelStartError when the kernel cannot be replaced.
        """
        self._keeper.keep(kernel)
        # There was no state before this kernel. So requests that arrived before it was ready count as accepted for it.
        # Otherwise, they would be reported with `state_lost`.
        for msg_id, (request, _) in self._queue.items():
            self._queue[msg_id] = Queued(request, self.generation)
        while True:
            self._changed.clear()
            if failure := self._failure or (self._cell and self._cell.failure):
                raise failure
            if self._cell and self._cell.is_scanning:
                await self._wait_for_change()
            elif self._cell:
                await self._cell.finish()
            elif self._keeper.is_ending:
                self._open_question.drop()
                await self._keeper.end()
                return
            elif self._keeper.is_missing:
                self.give_up()
                await self._wait_for_change()
                await self._keeper.start_again("died")
            elif reason := self._keeper.reason_to_replace():
                self._open_question.drop()
                self._has_left_code = False
                await self._keeper.replace(reason)
            elif self._open_question.is_under_way:
                await self._wait_for_change()
            elif self._queue and self._parts.home and self._is_home_renewing:
                await self._parts.home.renewed()
            elif self._queue:
                self._begin()
            else:
                await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        self._is_waiting = True
        try:
            await self._changed.wait()
        finally:
            self._is_waiting = False

    @property
    def _is_home_renewing(self) -> bool:
        """Whether the next execution should wait, so that its file changes can be reported."""
        return self._parts.home is not None and self._parts.home.is_renewing

    def _begin(self) -> None:
        """Send the first request of the queue to the kernel, which is ready."""
        self._cell = CellRun(self._next(), self._keeper, self._parts, self._end_cell)

    def _next(self) -> Queued:
        return self._queue.pop(next(iter(self._queue)))

    def _end_cell(self) -> None:
        """The last frame of the cell was written: let the next one begin."""
        if self._cell:
            self._has_left_code = self._cell.leaves_code
        self._cell = None
        if not self._is_waiting or self._queue or self._keeper.is_restart_asked():
            self._changed.set()

    def _end_unstarted(self, queued: Queued, how: Unstarted) -> None:
        """Answer a request that never began."""
        record = Record(queued.request, self._parts.writer)
        how.end(record, self.generation != queued.generation)
        self._parts.ended(queued.request.msg_id)

    def _empty_queue(self, how: Unstarted) -> None:
        while self._queue:
            self._end_unstarted(self._next(), how)
