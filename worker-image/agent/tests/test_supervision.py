"""When a kernel counts as held up by a leftover, and when it gets an interrupt. The kernel is simulated."""

from __future__ import annotations

import asyncio
import unittest
from contextlib import suppress
from typing import cast

from cellhouse_agent.executions.execution import MAX_BUSY_SECONDS, Execution
from cellhouse_agent.executions.supervision import Supervision
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.link import KernelMessage
from cellhouse_agent.kernel.process import CpuUse
from cellhouse_agent.processes.grace import LOOK_SECONDS
from cellhouse_agent.usage.meter import UsageSampler

from tests.with_clock import HurriedLoop

TIMEOUT_MS = 60_000


class SilentKernel:
    """A kernel that says nothing, and that runs for `cpu_share` of each second."""

    cpus = 1.0
    has_exited = False

    def __init__(self, cpu_share: float, wants_cpu: bool) -> None:
        self._clock = asyncio.get_running_loop().time
        self._cpu_share = cpu_share
        self._wants_cpu = wants_cpu
        self.interrupted_at: list[float] = []

    def cpu(self) -> CpuUse:
        """The CPU use of the kernel now."""
        return CpuUse(self._clock() * self._cpu_share, self._wants_cpu)

    def interrupt(self) -> None:
        """Note the time of a SIGINT."""
        self.interrupted_at.append(self._clock())


class Sampler:
    """The sampler of an execution that uses nothing."""

    def watch(self) -> None:
        """Do nothing."""

    def cpu_ms(self) -> float:
        """The CPU time of the execution."""
        return 0.0


def supervision_of(kernel: SilentKernel, changed: asyncio.Event) -> Supervision:
    """The supervision of a request that was just sent to this kernel."""
    request = ExecuteRequest("m1", "code", {"msg_id": "m1"}, TIMEOUT_MS, 500, 100)
    writer = FrameWriter(ReplayBuffer(1_000_000), "boot", 16_777_216)
    execution = Execution(request, writer, asyncio.get_running_loop().time)
    sampler = cast(UsageSampler, Sampler())
    return Supervision(cast(Kernel, kernel), execution, sampler, changed, lambda: False)


class LeftoverTest(unittest.IsolatedAsyncioTestCase):
    """A request that its kernel does not take up."""

    loop_factory = HurriedLoop

    async def interrupts(self, kernel: SilentKernel, seconds: float) -> list[float]:
        """The times of the interrupts in the first `seconds`, counted from the sending of the request."""
        supervision = supervision_of(kernel, asyncio.Event())
        sent_at = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await supervision.run()
        return [at - sent_at for at in kernel.interrupted_at]

    async def test_a_kernel_that_sleeps_is_interrupted_once(self) -> None:
        (after,) = await self.interrupts(SilentKernel(0.0, False), 2.0)
        self.assertAlmostEqual(after, MAX_BUSY_SECONDS, delta=LOOK_SECONDS)

    async def test_a_kernel_that_computes_is_interrupted_once(self) -> None:
        (after,) = await self.interrupts(SilentKernel(1.0, True), 2.0)
        self.assertAlmostEqual(after, MAX_BUSY_SECONDS, delta=LOOK_SECONDS)

    async def test_a_kernel_that_gets_no_cpu_is_not_interrupted(self) -> None:
        self.assertEqual(await self.interrupts(SilentKernel(0.0, True), 2.0), [])


class EarlyInterruptTest(unittest.IsolatedAsyncioTestCase):
    """An interrupt that comes after the kernel has begun with a request, and before it runs the code."""

    async def asyncSetUp(self) -> None:
        self.kernel = SilentKernel(0.0, False)
        self.changed = asyncio.Event()
        self.supervision = supervision_of(self.kernel, self.changed)
        work = asyncio.create_task(self.supervision.run())
        self.addAsyncCleanup(asyncio.wait, [work])
        self.addCleanup(work.cancel)

    async def hear(self, msg_type: str, content: JsonObject) -> None:
        """Pass on a message of the kernel, and let the supervision act on it."""
        message = KernelMessage(msg_type, "m1", content, 10)
        self.supervision.execution.accept("iopub", message)
        if self.supervision.needs_look:
            self.changed.set()
        await self.settle()

    async def settle(self) -> None:
        """Let the supervision act on what has changed."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def test_an_early_interrupt_is_sent_only_once_and_when_the_code_runs(self) -> None:
        await self.hear("status", {"execution_state": "busy"})
        self.supervision.interrupt()
        await self.settle()
        self.assertEqual(self.kernel.interrupted_at, [])
        for _ in range(2):
            await self.hear("execute_input", {})
            self.assertEqual(len(self.kernel.interrupted_at), 1)
