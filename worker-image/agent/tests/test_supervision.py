"""When a kernel that does not take up code counts as held up by a leftover. The kernel is simulated."""

from __future__ import annotations

import asyncio
import unittest
from contextlib import suppress
from typing import cast

from cellhouse_agent.execution import MAX_BUSY_SECONDS, Execution
from cellhouse_agent.frames import FrameWriter
from cellhouse_agent.grace import LOOK_SECONDS
from cellhouse_agent.kernel import Kernel
from cellhouse_agent.kernel_process import CpuUse
from cellhouse_agent.replay_buffer import ReplayBuffer
from cellhouse_agent.requests import ExecuteRequest
from cellhouse_agent.supervision import Supervision
from cellhouse_agent.usage_sampler import UsageSampler

from tests.with_clock import HurriedLoop

TIMEOUT_MS = 60_000


class SilentKernel:
    """It says nothing, and of each second it runs `cpu_share`."""

    cpus = 1.0
    has_exited = False

    def __init__(self, cpu_share: float, wants_cpu: bool) -> None:
        self._clock = asyncio.get_running_loop().time
        self._cpu_share = cpu_share
        self._wants_cpu = wants_cpu
        self.interrupted_at: list[float] = []

    def cpu(self) -> CpuUse:
        """What a look shows."""
        return CpuUse(self._clock() * self._cpu_share, self._wants_cpu)

    def interrupt(self) -> None:
        """SIGINT comes."""
        self.interrupted_at.append(self._clock())


class Sampler:
    """Of an execution that uses nothing."""

    def watch(self) -> None:
        """Do nothing."""

    def cpu_ms(self) -> float:
        """Nothing."""
        return 0.0


class LeftoverTest(unittest.IsolatedAsyncioTestCase):
    """A request that its kernel does not take up."""

    loop_factory = HurriedLoop

    async def interrupts(self, kernel: SilentKernel, seconds: float) -> list[float]:
        """After how many seconds the kernel is interrupted, in the first `seconds`."""
        loop = asyncio.get_running_loop()
        request = ExecuteRequest("m1", "code", {"msg_id": "m1"}, TIMEOUT_MS, 500, 100)
        writer = FrameWriter(ReplayBuffer(1_000_000), "boot", 16_777_216)
        execution, sent_at = Execution(request, writer, loop.time), loop.time()
        supervision = Supervision(
            cast(Kernel, kernel),
            execution,
            cast(UsageSampler, Sampler()),
            asyncio.Event(),
            lambda: False,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await supervision.run()
        return [at - sent_at for at in kernel.interrupted_at]

    async def test_one_that_sleeps_is_interrupted_once(self) -> None:
        (after,) = await self.interrupts(SilentKernel(0.0, False), 2.0)
        self.assertAlmostEqual(after, MAX_BUSY_SECONDS, delta=LOOK_SECONDS)

    async def test_one_that_computes_is_interrupted_once(self) -> None:
        (after,) = await self.interrupts(SilentKernel(1.0, True), 2.0)
        self.assertAlmostEqual(after, MAX_BUSY_SECONDS, delta=LOOK_SECONDS)

    async def test_one_that_gets_no_cpu_is_not(self) -> None:
        self.assertEqual(await self.interrupts(SilentKernel(0.0, True), 2.0), [])
