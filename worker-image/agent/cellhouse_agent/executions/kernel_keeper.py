"""Keeps a kernel ready for a lane: replaces a kernel that has ended, even one that was idle."""

from __future__ import annotations

import asyncio

from cellhouse_agent.executions.record import SharedParts
from cellhouse_agent.kernel.kernel import Kernel, KernelStartError
from cellhouse_agent.log import log_event
from cellhouse_agent.usage.meter import TreeMeter


class KernelKeeper:
    """The kernel of a lane, from `keep` on. Sets `changed` when there may be a reason to replace it."""

    def __init__(self, parts: SharedParts, changed: asyncio.Event, context_id: str | None) -> None:
        self._context_id = context_id
        # No other kernel will follow. A running execution ends as if somebody had asked for a fresh kernel.
        self.is_ending = False
        # The last kernel has ended, and no other could be started.
        self.is_missing = False
        self._parts = parts
        self._meter: TreeMeter | None = None
        self._home = parts.home
        self.changed = changed
        self._loop = asyncio.get_running_loop()
        self._kernel: Kernel | None = None
        self._variables: dict[str, str] = {}
        self.waiters = RestartWaiters()
        self._exit_watch: asyncio.Task[None] | None = None
        # The start of a kernel that replaces another.
        self._start: asyncio.Task[None] | None = None

    @property
    def kernel(self) -> Kernel:
        """The kernel itself."""
        assert self._kernel
        return self._kernel

    @property
    def meter(self) -> TreeMeter:
        """Measures the kernel and all processes that it starts."""
        assert self._meter
        return self._meter

    @property
    def generation(self) -> int:
        """How many kernels there have been."""
        return self._kernel.generation if self._kernel else 0

    @property
    def is_ready(self) -> bool:
        """Whether the kernel can run code."""
        return self._kernel is not None and self._kernel.is_ready

    @property
    def process_id(self) -> int | None:
        """The kernel's process."""
        return self._kernel.process_id if self._kernel else None

    def keep(self, kernel: Kernel) -> None:
        """Begin with this kernel, which is ready."""
        self._kernel = kernel
        kernel.set_variables(self._variables)
        self._watch(kernel)
        if self._home:
            self._home.kernel_began()

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these environment variables in the kernel before it runs more code, and in every later kernel."""
        self._variables = variables
        if self._kernel:
            self._kernel.set_variables(variables)

    def is_restart_asked(self) -> bool:
        """Whether somebody waits for a fresh kernel, or for the end of this one."""
        return self.is_ending or bool(self.waiters)

    async def restart(self) -> int:
        """Ask for a fresh kernel; returns its generation once it is ready. Raises NoContext and NoKernel."""
        waiter = self.waiters.add()
        self.changed.set()
        return await waiter

    def reason_to_replace(self) -> str | None:
        """Why the kernel, which runs nothing, must be replaced; None if it need not be."""
        if self.waiters:
            return "user"
        if not self.kernel.has_exited:
            return None
        return "oom" if self._parts.trees.oom.explains(self.kernel.exit_code) else "died"

    def begin_end(self) -> None:
        """Start no other kernel from now on, and refuse the callers that wait for one."""
        self.is_ending = True
        self.waiters.refuse(NoContext())
        if self._start:
            self._start.cancel()

    def tell_replaced(self, reason: str) -> None:
        """Tell the gateway that a fresh kernel follows."""
        if not self.is_ending:
            self._parts.writer.restarting(reason, self._context_id)

    async def end(self) -> None:
        """End the kernel and all that it started. Callers that wait for a fresh one are refused."""
        await self.kernel.end()
        self.meter.close()
        self.waiters.refuse(NoContext())

    async def replace(self, reason: str) -> None:
        """Replace a kernel that runs nothing."""
        self.kernel.halt()
        self.tell_replaced(reason)
        await self.start_again(reason)

    async def start_again(self, reason: str) -> None:
        """Replace a kernel that was halted, unless `begin_end` was called.

        If no kernel can be started, `is_missing` becomes true. In a context, KernelStartError is raised as well.
        """
        if self.is_ending:
            return
        kernel = self.kernel
        # Callers that ask from now on wait for the kernel after this one.
        waiters = self.waiters
        self.waiters = RestartWaiters()
        started = self._loop.time()
        await kernel.end()
        self.meter.close()
        try:
            if not await self._start_kernel(kernel):
                waiters.refuse(NoContext())
                return
        except KernelStartError:
            waiters.refuse(NoKernel())
            self.is_missing = True
            if self._context_id is None:
                return
            raise
        self.is_missing = False
        if self._home:
            self._home.settle()
        self._watch(kernel)
        duration_ms = round((self._loop.time() - started) * 1000)
        log_event("kernel_replaced", reason=reason, generation=kernel.generation, ms=duration_ms)
        waiters.answer(kernel.generation)

    async def _start_kernel(self, kernel: Kernel) -> bool:
        """Start the kernel. Returns false if none is wanted any more. Raises KernelStartError."""
        if self.is_ending:
            return False
        self._start = asyncio.create_task(kernel.start())
        try:
            await asyncio.wait([self._start])
            if self._start.cancelled():
                return False
            self._start.result()
            return True
        finally:
            self._start.cancel()
            self._start = None

    def _watch(self, kernel: Kernel) -> None:
        self._exit_watch = asyncio.create_task(self._tell_exit(kernel))
        process = kernel.process
        self._meter = TreeMeter(process.pid, process.reaper, self._parts.trees)

    async def _tell_exit(self, kernel: Kernel) -> None:
        await kernel.wait_exited()
        self.changed.set()


class NoContext(Exception):
    """There is no such context, or it has just ended."""


class NoKernel(Exception):
    """No kernel can be started: the limit of processes or of memory is reached."""


class RestartWaiters:
    """Requests for a fresh kernel, from when they come until it is ready."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[int]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> asyncio.Future[int]:
        """Ask for a fresh kernel. The result is the kernel's generation, or NoContext, or NoKernel."""
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def answer(self, generation: int) -> None:
        """The fresh kernel is ready."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(generation)
        self._waiting = []

    def refuse(self, error: NoContext | NoKernel) -> None:
        """Refuse all callers: no fresh kernel will come."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiting = []
