"""Shared parts of the tests with real kernels: run as root in the worker image."""

import asyncio
import json
import os
import unittest
import uuid

from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.launcher import KernelLauncher
from cellhouse_agent.kernel.link import KernelMessage

from tests.preloaded import PreloadedLauncher, is_preloaded

# Far longer than any of these tests takes: a hang fails the test instead of blocking it.
PATIENCE_SECONDS = 60.0
# A part of the command line of a fork server that was executed.
FORK_SERVER = " -m cellhouse_kernel.fork_server"


class WithKernels(unittest.IsolatedAsyncioTestCase):
    """A launcher that starts fork servers as in a worker, and kernels that print their answers."""

    launcher: KernelLauncher

    def make_launcher(self) -> KernelLauncher:
        """The launcher of each test."""
        return KernelLauncher(cpus=1)

    async def asyncSetUp(self) -> None:
        self.launcher = self.make_launcher()
        self.addAsyncCleanup(self.launcher.close)
        self.launcher.start()

    async def kernel(self) -> "PrintingKernel":
        """A kernel that is ready. It ends with the test."""
        kernel = PrintingKernel(self.launcher)
        self.addAsyncCleanup(kernel.end)
        await kernel.start()
        return kernel


class WithPreloadedKernels(WithKernels):
    """Like WithKernels, but fork servers start at once, for tests that are not about their start."""

    launcher: PreloadedLauncher

    def make_launcher(self) -> PreloadedLauncher:
        """The launcher of each test."""
        return PreloadedLauncher()


class PrintingKernel(Kernel):
    """A kernel that answers by printing."""

    def __init__(self, launcher: KernelLauncher) -> None:
        super().__init__(launcher, 16_777_216, self._receive)
        self._waiting = ""
        self._text = ""
        self._done = asyncio.Event()

    async def ask(self, code: str) -> object:
        """Run code that prints one JSON value at its end; returns the value."""
        self._waiting, self._text = uuid.uuid4().hex, ""
        self._done.clear()
        self.execute(self._waiting, code)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._done.wait()
        return json.loads(self._text.splitlines()[-1])

    async def pid(self) -> int:
        """The id of the kernel's process."""
        pid = await self.ask("import os; print(os.getpid())")
        assert isinstance(pid, int)
        return pid

    def _receive(self, _channel: str, message: KernelMessage) -> None:
        if message.parent_msg_id != self._waiting:
            return
        self._text += str(message.content.get("text", ""))
        if message.content.get("execution_state") == "idle":
            self._done.set()


def command_of(pid: int) -> str:
    """The command line of this process."""
    with open(f"/proc/{pid}/cmdline", "rb") as command:
        return command.read().replace(b"\0", b" ").decode().strip()


def was_forked(pid: int) -> bool:
    """Whether this process is a fork server, or was forked from one and shares its command line."""
    command = command_of(pid)
    return FORK_SERVER in command or is_preloaded(command)


def fork_server_pid() -> int:
    """The id of the only fork server that this process has executed."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        (pid,) = [
            int(pid) for pid in children.read().split() if FORK_SERVER in command_of(int(pid))
        ]
    return pid
