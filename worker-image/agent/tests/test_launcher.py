"""How kernels are started, with and without a fork server."""

import asyncio
import os
import signal

from cellhouse_agent.user_processes import user_processes
from tests.with_kernels import PATIENCE_SECONDS, WithKernels, fork_server_pid, was_forked

# A fork takes a few milliseconds: these kill the server before it, during it, and after it.
KILL_DELAYS_SECONDS = (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008)
STRAY_POLL_SECONDS = 0.01


class TestLauncher(WithKernels):
    """With real processes."""

    async def test_a_kernel_is_forked_and_has_everything_imported(self) -> None:
        kernel = await self.kernel()
        self.assertTrue(was_forked(await kernel.pid()))
        names = ["numpy", "pandas", "matplotlib.pyplot"]
        known = f"import json, sys; print(json.dumps([name in sys.modules for name in {names}]))"
        self.assertEqual(await kernel.ask(known), [True, True, True])

    async def test_the_end_of_a_forked_kernel_is_told(self) -> None:
        kernel = await self.kernel()
        os.kill(await kernel.pid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await kernel.wait_exited()
        self.assertEqual(kernel.exit_code, -signal.SIGTERM)

    async def test_a_kernel_outlives_its_fork_server_and_is_still_watched(self) -> None:
        kernel = await self.kernel()
        pid = await kernel.pid()
        os.kill(fork_server_pid(), signal.SIGKILL)
        self.assertEqual(await kernel.pid(), pid)
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await kernel.wait_exited()
        self.assertIsNone(kernel.exit_code)

    async def test_without_a_fork_server_a_kernel_starts_the_slow_way(self) -> None:
        await self.launcher.wait_ready()
        first = fork_server_pid()
        os.kill(first, signal.SIGKILL)
        slow = await self.kernel()
        self.assertFalse(was_forked(await slow.pid()))
        await slow.end()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.launcher.wait_ready()
        self.assertNotEqual(fork_server_pid(), first)
        self.assertTrue(was_forked(await (await self.kernel()).pid()))

    async def test_a_fork_server_killed_while_it_forks_leaves_a_kernel_and_nothing_else(
        self,
    ) -> None:
        for delay in KILL_DELAYS_SECONDS:
            with self.subTest(delay=delay):
                await self.launcher.wait_ready()
                timer = asyncio.get_running_loop().call_later(
                    delay, os.kill, fork_server_pid(), signal.SIGKILL
                )
                kernel = await self.kernel()
                timer.cancel()
                pid = await kernel.pid()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    # A half-made kernel finds its input closed, and ends by itself.
                    while set(user_processes()) != {pid}:
                        await asyncio.sleep(STRAY_POLL_SECONDS)
                await kernel.end()
