"""Passes each request to its lane or to the commands, at most once.

`run`, `on_message`, `state` and `generation` are about the default kernel. So is `restart` without a context.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import NamedTuple

from cellhouse_agent.commands.command import Command, NotBegun, Script, Standard
from cellhouse_agent.commands.commands import Commands
from cellhouse_agent.commands.run import OrderCommand
from cellhouse_agent.executions.contexts import Contexts, MakeKernel, TooManyContexts
from cellhouse_agent.executions.inputs import Inputs
from cellhouse_agent.executions.kernel_keeper import NoContext
from cellhouse_agent.executions.known_requests import KnownRequests, RecentIds
from cellhouse_agent.executions.lane import Lane
from cellhouse_agent.executions.questions import Question
from cellhouse_agent.executions.record import SharedParts
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.link import KernelMessage
from cellhouse_agent.usage.container import Usage
from cellhouse_agent.usage.sampling import Trees


def no_kernel(_on_message: Callable[[str, KernelMessage], None], _directory: str | None) -> Kernel:
    """Refuse to make a kernel: this worker has only the default one."""
    raise TooManyContexts


async def no_command(_script: Script, _standard: Standard) -> Command:
    """Refuse to make a command: this worker runs none."""
    raise NotBegun("This worker runs no commands")


class Factories(NamedTuple):
    """How one worker makes the kernels of its contexts, and its commands."""

    kernel: MakeKernel = no_kernel
    command: OrderCommand = no_command


# Interrupts that are remembered: more than enough, since a gateway repeats an interrupt only until it has stored the
# end of the execution.
MAX_REMEMBERED_INTERRUPTS = 10_000


class QueueFull(Exception):
    """More requests than the agent accepts at a time."""


class Interrupted(NamedTuple):
    """The answer to an interrupt."""

    # The request was running or queued.
    interrupted: bool
    # The request had arrived before. If not, it will not run when it arrives.
    known: bool


class Executor:
    """All lanes of a worker, its commands, and the memory of which requests they were given."""

    def __init__(
        self,
        buffer: ReplayBuffer,
        writer: FrameWriter,
        usage: Usage,
        home: HomeWatch | None = None,
        factories: Factories = Factories(),
    ) -> None:
        """Without a `home`, replies say nothing of changed files."""
        self._buffer = buffer
        self._known = KnownRequests()
        self._interrupts = RecentIds(MAX_REMEMBERED_INTERRUPTS)
        self._refused = RecentIds(MAX_REMEMBERED_INTERRUPTS)
        self._kernel_facts: JsonObject = {}
        self.inputs = Inputs()
        parts = SharedParts(
            writer, Trees(usage), home, self._ended, self._quiet_kernels, self.inputs
        )
        self._default = Lane(parts)
        self.contexts = Contexts(parts, factories.kernel)
        self.commands = Commands(parts, factories.command)
        # The lane or the commands of each running or queued request, by msg_id.
        self._lane_of: dict[str, Lane | Commands] = {}

    @property
    def generation(self) -> int:
        """How many default kernels this worker has had."""
        return self._default.generation

    @property
    def state(self) -> str:
        """`idle`, `busy` or `restarting`."""
        return self._default.state

    @property
    def kernel_facts(self) -> JsonObject:
        """The facts that the first kernel of this worker reported about itself, before any user code ran."""
        return self._kernel_facts

    @property
    def stray_messages(self) -> int:
        """How many messages of kernels belonged to no running execution."""
        return sum(lane.stray_messages for lane in self._lanes)

    @property
    def _lanes(self) -> list[Lane]:
        return [self._default, *self.contexts.lanes]

    def submit(self, request: ExecuteRequest) -> None:
        """Queue a request, or ignore one that was accepted before. Raises QueueFull."""
        msg_id = request.msg_id
        if msg_id in self._known:
            return
        if self._known.is_full:
            raise QueueFull
        lane = self._lane_for(request)
        if lane and lane.is_full:
            raise QueueFull
        self._known.add(msg_id)
        if not lane or msg_id in self._refused:
            (lane or self._default).refuse(request)
            return
        self._lane_of[msg_id] = lane
        if request.takes_input:
            self.inputs.begin(msg_id)
        lane.submit(request)

    def _lane_for(self, request: ExecuteRequest) -> Lane | Commands | None:
        """None if its context was deleted."""
        if request.command:
            return self.commands
        try:
            return self.contexts.lane(request.context) if request.context else self._default
        except TooManyContexts as error:
            raise QueueFull from error
        except NoContext:
            return None

    def ack(self, seq: int) -> None:
        """A gateway has stored everything up to seq."""
        if seq <= self._buffer.last_seq:
            self._known.ack(seq)
            self._buffer.ack(seq)

    def interrupt(
        self,
        msg_id: str,
        request_id: str | None = None,
        number: signal.Signals = signal.SIGINT,
    ) -> Interrupted:
        """
        Interrupt this request if it runs, or take it out of the queue. If it has not arrived yet, it will never run.
        Repeating a request_id has no further effect. Only a command can get a signal other than SIGINT.
        """
        if lane := self._lane_of.get(msg_id):
            is_new = request_id is None or self._interrupts.add(request_id)
            if isinstance(lane, Commands):
                lane.interrupt(msg_id, is_new, number)
            else:
                lane.interrupt(msg_id, is_new)
            return Interrupted(True, True)
        if msg_id in self._known:
            return Interrupted(False, True)
        self._refused.add(msg_id)
        return Interrupted(False, False)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these environment variables in each kernel before it runs more code, in later kernels and in commands."""
        self._default.set_variables(variables)
        self.contexts.set_variables(variables)
        self.commands.set_variables(variables)

    async def restart(self, context_id: str | None = None) -> int:
        """Replace a context's kernel; returns the new generation once it is ready. Raises NoContext and NoKernel."""
        if context_id is not None:
            return await self.contexts.restart(context_id)
        return await self._default.restart()

    async def ask(self, context_id: str | None, question: Question) -> JsonObject | None:
        """Ask a context's kernel; None if it is not free, or gives no usable answer in time. Raises NoContext."""
        lane = self._default if context_id is None else self.contexts.opened(context_id)
        return await lane.ask(question)

    def on_message(self, channel: str, message: KernelMessage) -> None:
        """Handle a message from the default kernel."""
        self._default.on_message(channel, message)

    async def run(self, kernel: Kernel) -> None:
        """
        Serve for ever, beginning with a ready default kernel.
        Raises any error that makes it impossible to tell how an execution ended.
        """
        self._kernel_facts = kernel.facts
        default = asyncio.create_task(self._default.run(kernel))
        failures: list[asyncio.Future[None]] = [
            default,
            self.contexts.failure,
            self.commands.failure,
        ]
        try:
            (first, *_), _ = await asyncio.wait(failures, return_when=asyncio.FIRST_COMPLETED)
            first.result()
        finally:
            default.cancel()
            await asyncio.wait([default])
            await self.contexts.close()
            await self.commands.close()

    def _ended(self, msg_id: str) -> None:
        """The last frame of this request has just been written."""
        self._lane_of.pop(msg_id, None)
        self.inputs.end(msg_id)
        self._known.ended(msg_id, self._buffer.last_seq)

    def _quiet_kernels(self) -> frozenset[int | None]:
        """The processes of the kernels that run no code."""
        return frozenset(lane.process_id for lane in self._lanes if lane.is_quiet)
