"""Keeps a kernel ready for a lane: sees its end while it runs nothing, and replaces it."""

from __future__ import annotations

import asyncio

from cellhouse_agent.frames import NO_PARENT, FrameWriter
from cellhouse_agent.home_watch import HomeWatch
from cellhouse_agent.kernel import Kernel
from cellhouse_agent.log import log_event
from cellhouse_agent.restart_waiters import RestartWaiters
from cellhouse_agent.usage import Usage
from cellhouse_agent.verdict import was_out_of_memory


class KeptKernel:
    """The kernel of a lane, from `keep` on. Sets `changed` when there may be a reason to replace it."""

    def __init__(
        self, writer: FrameWriter, usage: Usage, home: HomeWatch | None, changed: asyncio.Event
    ) -> None:
        self._writer = writer
        self._usage = usage
        self._home = home
        self.changed = changed
        self._loop = asyncio.get_running_loop()
        self._kernel: Kernel | None = None
        self._variables: dict[str, str] = {}
        self._waiters = RestartWaiters()
        self._exit_watch: asyncio.Task[None] | None = None
        self._known_oom_kills = 0

    @property
    def kernel(self) -> Kernel:
        """The kernel itself."""
        assert self._kernel
        return self._kernel

    @property
    def generation(self) -> int:
        """How many kernels there have been."""
        return self._kernel.generation if self._kernel else 0

    @property
    def is_ready(self) -> bool:
        """Whether it can run code."""
        return self._kernel is not None and self._kernel.is_ready

    @property
    def process_id(self) -> int | None:
        """Its process."""
        return self._kernel.process_id if self._kernel else None

    def keep(self, kernel: Kernel) -> None:
        """Begin with this one, which is ready."""
        self._kernel = kernel
        kernel.set_variables(self._variables)
        self._watch(kernel)
        if self._home:
            self._home.kernel_began()

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set these in its environment, before the next code, and in that of every kernel after it."""
        self._variables = variables
        if self._kernel:
            self._kernel.set_variables(variables)

    def is_restart_asked(self) -> bool:
        """Whether somebody waits for a fresh one."""
        return bool(self._waiters)

    async def restart(self) -> int:
        """Ask for a fresh one; returns its generation once it is ready."""
        waiter = self._waiters.add()
        self.changed.set()
        return await waiter

    def forget_oom_kills(self) -> None:
        """What was killed until now is no reason for an end of this kernel that comes later."""
        self._known_oom_kills = self._usage.oom_kills()

    def reason_to_replace(self) -> str | None:
        """Why the kernel, which runs nothing, must be replaced; None if it need not be."""
        if self._waiters:
            return "user"
        if not self.kernel.has_exited:
            return None
        has_oom_kill = self._usage.oom_kills() > self._known_oom_kills
        return "oom" if was_out_of_memory(self.kernel.exit_code, has_oom_kill) else "died"

    async def replace(self, reason: str) -> None:
        """Replace a kernel that runs nothing."""
        self.kernel.halt()
        self._writer.status("restarting", NO_PARENT, reason)
        await self.start_again(reason)

    async def start_again(self, reason: str) -> None:
        """Replace a kernel that was halted. Raises KernelStartError."""
        kernel = self.kernel
        waiters = self._waiters.take()
        started = self._loop.time()
        await kernel.end()
        await kernel.start()
        if self._home:
            self._home.settle()
        self._watch(kernel)
        duration_ms = round((self._loop.time() - started) * 1000)
        log_event("kernel_replaced", reason=reason, generation=kernel.generation, ms=duration_ms)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(kernel.generation)

    def _watch(self, kernel: Kernel) -> None:
        self._exit_watch = asyncio.create_task(self._tell_exit(kernel))
        self.forget_oom_kills()

    async def _tell_exit(self, kernel: Kernel) -> None:
        await kernel.wait_exited()
        self.changed.set()
