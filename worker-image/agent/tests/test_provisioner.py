"""The provisioner, as jupyter_client finds and uses it: run as root in the worker image."""

import asyncio
import os
import unittest
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from cellhouse_agent.provisioner import ForkServerProvisioner
from cellhouse_kernel.identity import KERNEL_UID
from tests.with_kernels import PATIENCE_SECONDS, was_forked


class Provisioner(unittest.IsolatedAsyncioTestCase):
    """A stock manager with the kernelspec `cellhouse`."""

    async def asyncSetUp(self) -> None:
        self.manager = AsyncKernelManager(kernel_name="cellhouse")
        await self.manager.start_kernel()
        self.addAsyncCleanup(self.manager.shutdown_kernel, now=True)
        self.client = self.manager.client()
        self.client.start_channels()
        self.addCleanup(self.client.stop_channels)
        await self.client.wait_for_ready(timeout=PATIENCE_SECONDS)

    async def evaluate(self, expression: str) -> str:
        """The value of an expression in the kernel."""
        reply = await self.client.execute_interactive(
            "", user_expressions={"it": expression}, timeout=PATIENCE_SECONDS
        )
        return str(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])

    async def pid(self) -> int:
        """The kernel's process."""
        return int(await self.evaluate("__import__('os').getpid()"))

    async def test_starts_a_forked_kernel_under_the_kernels_user(self) -> None:
        self.assertIsInstance(self.manager.provisioner, ForkServerProvisioner)
        pid = await self.pid()
        self.assertTrue(was_forked(pid))
        self.assertEqual(os.stat(f"/proc/{pid}").st_uid, KERNEL_UID)
        self.assertTrue(await self.manager.is_alive())

    async def test_interrupts(self) -> None:
        running = asyncio.Event()
        said: list[str] = []

        def hear(message: Any) -> None:
            said.append(message["msg_type"])
            if message["msg_type"] == "stream":
                running.set()

        code = "import time\nprint('runs')\nwhile True: time.sleep(0.01)"
        ended = asyncio.create_task(
            self.client.execute_interactive(code, output_hook=hear, timeout=PATIENCE_SECONDS)
        )
        await running.wait()
        await self.manager.interrupt_kernel()
        reply = await ended
        self.assertEqual(reply["content"]["ename"], "KeyboardInterrupt")

    async def test_restarts_with_the_next_fork(self) -> None:
        first = await self.pid()
        await self.manager.restart_kernel(now=True)
        await self.client.wait_for_ready(timeout=PATIENCE_SECONDS)
        second = await self.pid()
        self.assertNotEqual(second, first)
        self.assertTrue(was_forked(second))
        self.assertFalse(os.path.exists(f"/proc/{first}"))

    async def test_restarts_at_the_kernels_own_pace(self) -> None:
        first = await self.pid()
        await self.manager.restart_kernel()
        await self.client.wait_for_ready(timeout=PATIENCE_SECONDS)
        self.assertNotEqual(await self.pid(), first)

    async def test_kills(self) -> None:
        pid = await self.pid()
        await self.manager.shutdown_kernel(now=True)
        self.assertFalse(await self.manager.is_alive())
        self.assertFalse(os.path.exists(f"/proc/{pid}"))


if __name__ == "__main__":
    unittest.main()
