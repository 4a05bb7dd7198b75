"""How much CPU time a kernel has used, and whether it wants more: run as root in the worker image."""

import asyncio
import unittest
from collections.abc import Callable

from cellhouse_agent.kernel.process import NO_CPU_USE

from tests.with_kernels import PATIENCE_SECONDS, WithPreloadedKernels

# A thread that computes while the main thread waits for the next request. It computes in C code that has released the
# interpreter's lock. If two threads took turns with that lock, a check might find both asleep.
COMPUTING_THREAD = """
import hashlib, threading
is_over = threading.Event()
def compute():
    while not is_over.is_set(): hashlib.pbkdf2_hmac("sha256", b"x", b"x", 300_000)
threading.Thread(target=compute, daemon=True).start()
print(1)
"""


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


class CpuUseTest(WithPreloadedKernels):
    """CPU use of the kernel's process, all its threads together."""

    async def test_a_kernel_that_waits_for_requests_wants_no_cpu(self) -> None:
        kernel = await self.kernel()
        await until(lambda: not kernel.cpu().wants_cpu)

    async def test_a_kernel_wants_cpu_while_any_of_its_threads_computes(self) -> None:
        kernel = await self.kernel()
        before = kernel.cpu().used_seconds
        await kernel.ask(COMPUTING_THREAD)
        for _ in range(10):
            await asyncio.sleep(0.02)
            self.assertTrue(kernel.cpu().wants_cpu)
        await until(lambda: kernel.cpu().used_seconds > before + 0.1)
        await kernel.ask("is_over.set(); print(1)")
        await until(lambda: not kernel.cpu().wants_cpu)

    async def test_a_kernel_that_has_ended_wants_no_cpu(self) -> None:
        kernel = await self.kernel()
        await kernel.end()
        self.assertEqual(kernel.cpu(), NO_CPU_USE)


if __name__ == "__main__":
    unittest.main()
