"""All contexts except the default one: each is a lane with its own kernels, and all share the same files.

States of a context: starting -> ready -> ended, or failed if no kernel can be started. The next request
for a failed context makes it again. A deleted context is never made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cellhouse_agent.executions.kernel_keeper import NoContext, NoKernel
from cellhouse_agent.executions.known_requests import RecentIds
from cellhouse_agent.executions.lane import Lane
from cellhouse_agent.executions.record import SharedParts
from cellhouse_agent.gateway.requests import Context
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.kernel import Kernel, KernelStartError
from cellhouse_agent.kernel.link import KernelMessage

# As many as the gateway's settings allow.
MAX_CONTEXTS = 32
# How many deleted contexts are remembered, and how many failed ones: more than a session ever has.
MAX_REMEMBERED = 10_000

# Makes the kernel of a lane. Takes the callback for its messages, and the folder that it begins in.
MakeKernel = Callable[[Callable[[str, KernelMessage], None], str | None], Kernel]


class TooManyContexts(Exception):
    """More contexts than one worker may have."""


class OpenContext:
    """One context, from its making to its end."""

    def __init__(self, lane: Lane, kernel: Kernel) -> None:
        self.lane = lane
        self.kernel = kernel
        # The start of its first kernel.
        self.start = asyncio.create_task(kernel.start())
        # The generation of its first kernel, or NoContext, or NoKernel.
        self.ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None


class Contexts:
    """Makes and ends contexts. An error that must end the agent becomes the exception of `failure`."""

    def __init__(self, parts: SharedParts, make_kernel: MakeKernel) -> None:
        self._parts = parts
        self._make_kernel = make_kernel
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, OpenContext] = {}
        self._deleted = RecentIds(MAX_REMEMBERED)
        # How many kernels each failed context has had.
        self._generations: dict[str, int] = {}
        self._variables: dict[str, str] = {}
        self.failure: asyncio.Future[None] = self._loop.create_future()

    @property
    def lanes(self) -> list[Lane]:
        """The lanes of all open contexts."""
        return [context.lane for context in self._open.values()]

    def told(self) -> list[JsonObject]:
        """The open contexts, as GET /health reports them."""
        return [
            {
                "id": context_id,
                "kernel": context.lane.state,
                "kernel_generation": context.kernel.generation,
            }
            for context_id, context in self._open.items()
        ]

    def lane(self, context: Context) -> Lane:
        """The lane of a context, made if necessary. Raises NoContext if it was deleted, and TooManyContexts."""
        return self._opened(context).lane

    async def create(self, context: Context) -> int:
        """Make a context, unless it is open; returns its kernel's generation once the kernel is ready.

        Raises NoKernel, and the exceptions of `lane`.
        """
        opened = self._opened(context)
        await asyncio.shield(opened.ready)
        return opened.kernel.generation

    async def restart(self, context_id: str) -> int:
        """Replace a context's kernel; returns the new generation once it is ready. Raises NoContext and NoKernel."""
        return await self.opened(context_id).restart()

    def opened(self, context_id: str) -> Lane:
        """The lane of an open context. Raises NoContext."""
        context = self._open.get(context_id)
        if not context or context_id in self._deleted:
            raise NoContext
        return context.lane

    async def delete(self, context_id: str) -> bool:
        """End a context for good; false if it was not open."""
        self._deleted.add(context_id)
        context = self._open.get(context_id)
        if not context or not context.task:
            return False
        context.lane.end()
        context.start.cancel()
        await asyncio.wait([context.task])
        return True

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these variables in the kernels of all contexts, and in all that are made later."""
        self._variables = variables
        for lane in self.lanes:
            lane.set_variables(variables)

    async def close(self) -> None:
        """Stop serving all contexts. Their kernels end with the agent."""
        if tasks := [context.task for context in self._open.values() if context.task]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _opened(self, context: Context) -> OpenContext:
        # This comes first: a context that is being deleted is still open, but takes no more requests.
        if context.id in self._deleted:
            raise NoContext
        if opened := self._open.get(context.id):
            return opened
        if len(self._open) >= MAX_CONTEXTS:
            raise TooManyContexts
        lane = Lane(self._parts, context.id)
        lane.set_variables(self._variables)
        kernel = self._make_kernel(lane.on_message, context.working_directory)
        kernel.generation = self._generations.pop(context.id, 0)
        opened = self._open[context.id] = OpenContext(lane, kernel)
        opened.task = asyncio.create_task(self._serve(context.id, opened))
        return opened

    async def _serve(self, context_id: str, context: OpenContext) -> None:
        """Serve a context from its start to its end."""
        started = self._loop.time()
        try:
            await asyncio.wait([context.start])
            if context.start.cancelled():
                await context.kernel.end()
            else:
                context.start.result()
                ready_ms = round((self._loop.time() - started) * 1000)
                self._tell(context_id, "ready", context, ready_ms)
                context.ready.set_result(context.kernel.generation)
                await context.lane.run(context.kernel)
            self._tell(context_id, "ended", context, None)
        except KernelStartError:
            context.lane.give_up()
            self._fail(context_id, context)
            _refuse(context.ready, NoKernel())
        except Exception as error:
            if not self.failure.done():
                self.failure.set_exception(error)
        finally:
            context.start.cancel()
            del self._open[context_id]
            _refuse(context.ready, NoContext())

    def _fail(self, context_id: str, context: OpenContext) -> None:
        if context_id in self._deleted:
            self._tell(context_id, "ended", context, None)
            return
        self._generations[context_id] = context.kernel.generation
        if len(self._generations) > MAX_REMEMBERED:
            del self._generations[next(iter(self._generations))]
        self._tell(context_id, "failed", context, None)

    def _tell(
        self, context_id: str, state: str, context: OpenContext, ready_ms: int | None
    ) -> None:
        content: JsonObject = {
            "context_id": context_id,
            "state": state,
            "kernel_generation": context.kernel.generation,
            "ready_ms": ready_ms,
        }
        self._parts.writer.context(content)


def _refuse(ready: asyncio.Future[int], error: NoContext | NoKernel) -> None:
    if not ready.done():
        ready.set_exception(error)
        # If nobody waits, asyncio must not log that the exception was never retrieved.
        ready.exception()
