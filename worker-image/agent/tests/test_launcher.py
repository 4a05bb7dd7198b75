"""How kernels are started, with and without a fork server."""

import asyncio
import os
import signal
from unittest import mock

from cellhouse_agent.kernel import launcher
from cellhouse_agent.processes.user_processes import user_processes
from tests.with_kernels import (
    PATIENCE_SECONDS,
    WithKernels,
    WithPreloadedKernels,
    fork_server_pid,
    was_forked,
)

# A fork takes a few milliseconds. With these delays, the server is killed before, during and after a fork.
KILL_DELAYS_SECONDS = (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008)
STRAY_POLL_SECONDS = 0.01


class TestLauncher(WithKernels):
    """With fork servers that are programs of their own, as in a worker."""

    async def test_a_kernel_is_forked_and_has_everything_imported(self) -> None:
        kernel = await self.kernel()
        self.assertTrue(was_forked(await kernel.pid()))
        names = ["numpy", "pandas", "matplotlib.pyplot"]
        known = f"import json, sys; print(json.dumps([name in sys.modules for name in {names}]))"
        self.assertEqual(await kernel.ask(known), [True, True, True])

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


class TestForks(WithPreloadedKernels):
    """What becomes of kernels, and of their fork server."""

    async def test_the_end_of_a_forked_kernel_is_reported(self) -> None:
        kernel = await self.kernel()
        os.kill(await kernel.pid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await kernel.wait_exited()
        self.assertEqual(kernel.exit_code, -signal.SIGTERM)

    async def test_a_kernel_outlives_its_fork_server_and_is_still_watched(self) -> None:
        kernel = await self.kernel()
        pid = await kernel.pid()
        os.kill(self.launcher.fork_server_pid, signal.SIGKILL)
        self.assertEqual(await kernel.pid(), pid)
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await kernel.wait_exited()
        self.assertEqual(kernel.exit_code, -signal.SIGKILL)

    async def test_a_kernel_whose_reaper_is_killed_ends_with_all_that_it_started(self) -> None:
        kernel = await self.kernel()
        started = "import os, subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
        await kernel.ask(started)
        reaper = await kernel.ask("print(os.getppid())")
        assert isinstance(reaper, int)
        self.assertEqual(len(list(user_processes())), 2)
        os.kill(reaper, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await kernel.wait_exited()
        self.assertIsNone(kernel.exit_code)
        await kernel.end()
        self.assertEqual(list(user_processes()), [])
        await kernel.start()
        await kernel.pid()

    async def test_two_kernels_are_ended_one_by_one(self) -> None:
        first, second = await self.kernel(), await self.kernel()
        for kernel in (first, second):
            await kernel.ask("import subprocess; print(subprocess.Popen(['sleep', '60']).pid)")
        pid = await second.pid()
        self.assertEqual(len(list(user_processes())), 4)
        await first.end()
        self.assertEqual(len(list(user_processes())), 2)
        self.assertEqual(await second.pid(), pid)

    async def test_kernels_that_are_asked_for_at_the_same_time_are_all_forked(self) -> None:
        await self.launcher.wait_ready()
        kernels = await asyncio.gather(*(self.kernel() for _ in range(3)))
        pids = [await kernel.pid() for kernel in kernels]
        self.assertEqual([was_forked(pid) for pid in pids], [True] * 3)
        for number, kernel in enumerate(kernels):
            self.assertEqual(set(user_processes()), set(pids[number:]))
            await kernel.end()
        self.assertEqual(list(user_processes()), [])

    async def test_the_answer_to_a_cancelled_launch_is_not_given_to_another_launch(self) -> None:
        await self.launcher.wait_ready()
        os.kill(self.launcher.fork_server_pid, signal.SIGSTOP)
        given_up = asyncio.create_task(self.launcher.launch())
        waiting = asyncio.create_task(self.kernel())
        await asyncio.sleep(0)
        given_up.cancel()
        os.kill(self.launcher.fork_server_pid, signal.SIGCONT)
        kernel = await waiting
        pid = await kernel.pid()
        self.assertTrue(was_forked(pid))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while set(user_processes()) != {pid}:
                await asyncio.sleep(STRAY_POLL_SECONDS)
        await kernel.end()
        self.assertEqual(list(user_processes()), [])

    async def test_a_silent_fork_server_is_given_up(self) -> None:
        await self.launcher.wait_ready()
        first = self.launcher.fork_server_pid
        os.kill(first, signal.SIGSTOP)
        with mock.patch.object(launcher, "FORK_TIMEOUT_SECONDS", 0.1):
            kernels = await asyncio.gather(self.kernel(), self.kernel())
        for kernel in kernels:
            self.assertFalse(was_forked(await kernel.pid()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.launcher.wait_ready()
        self.assertNotEqual(self.launcher.fork_server_pid, first)

    async def test_a_fork_server_killed_while_it_forks_leaves_a_kernel_and_nothing_else(
        self,
    ) -> None:
        for delay in KILL_DELAYS_SECONDS:
            with self.subTest(delay=delay):
                await self.launcher.wait_ready()
                timer = asyncio.get_running_loop().call_later(
                    delay, os.kill, self.launcher.fork_server_pid, signal.SIGKILL
                )
                kernel = await self.kernel()
                timer.cancel()
                pid = await kernel.pid()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    # A half-made kernel finds its input closed, and ends by itself.
                    while set(user_processes()) != {pid}:
                        await asyncio.sleep(STRAY_POLL_SECONDS)
                await kernel.end()
