"""Shared parts of the tests of the executor with a real kernel: run as root in the worker image."""

import asyncio
import json
import unittest
from functools import partial
from typing import Any

from cellhouse_agent.executions.executor import Executor, Factories
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.usage.container import find_usage

from tests.preloaded import PreloadedLauncher

# Far longer than any of these tests takes: a hang fails the test instead of blocking it.
PATIENCE_SECONDS = 60.0
# For code that ends when it is interrupted, which may take long on a busy machine.
LONG_GRACE_MS = 20_000
SHORT_GRACE_MS = 200


def request(
    msg_id: str,
    code: str,
    timeout_ms: int = 30_000,
    grace_ms: int = LONG_GRACE_MS,
    max_output_bytes: int = 1_000_000,
) -> ExecuteRequest:
    """A request that may print a megabyte."""
    return ExecuteRequest(msg_id, code, {"msg_id": msg_id}, timeout_ms, grace_ms, max_output_bytes)


class Frames(unittest.IsolatedAsyncioTestCase):
    """The frames that a worker has written for its gateway."""

    buffer: ReplayBuffer

    def all_frames(self) -> list[dict[str, Any]]:
        """All frames that the buffer holds."""
        seqs = range(self.buffer.first_seq, self.buffer.last_seq + 1)
        return [json.loads(self.buffer.get(seq) or b"") for seq in seqs]

    def frames(self, msg_id: str) -> list[dict[str, Any]]:
        """All frames of one execution so far."""
        frames = self.all_frames()
        return [frame for frame in frames if frame["parent_header"].get("msg_id") == msg_id]

    async def reply(self, msg_id: str) -> dict[str, Any]:
        """Wait for the end of an execution; returns its reply."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            seq = self.buffer.first_seq
            while True:
                await self.buffer.wait_for(seq)
                # Parse each frame only once: code that prints slowly makes very many frames.
                frame = json.loads(self.buffer.get(seq) or b"")
                is_reply = frame["header"]["msg_type"] == "execute_reply"
                if is_reply and frame["parent_header"].get("msg_id") == msg_id:
                    return dict(frame)
                seq += 1

    async def started(self, msg_id: str) -> None:
        """Wait until an execution runs."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.frames(msg_id):
                await self.buffer.wait_for(self.buffer.last_seq + 1)

    async def printed(self, msg_id: str, text: str, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until an execution has printed this."""
        async with asyncio.timeout(patience):
            while text not in "".join(f["content"].get("text", "") for f in self.frames(msg_id)):
                await self.buffer.wait_for(self.buffer.last_seq + 1)


class WithExecutor(Frames):
    """A worker without its socket."""

    async def asyncSetUp(self) -> None:
        self.buffer = ReplayBuffer(10_000_000)
        writer = FrameWriter(self.buffer, "boot", 16_777_216)
        self.launcher = PreloadedLauncher()
        self.launcher.start()
        make_kernel = partial(Kernel, self.launcher, 16_777_216)
        self.executor = Executor(self.buffer, writer, find_usage(), None, Factories(make_kernel))
        self.kernel = make_kernel(self.executor.on_message)
        await self.kernel.start()
        self.work = asyncio.create_task(self.executor.run(self.kernel))

    async def asyncTearDown(self) -> None:
        self.work.cancel()
        await asyncio.wait([self.work])
        await self.kernel.end()
        await self.launcher.close()

    async def run_code(
        self, msg_id: str, code: str, timeout_ms: int = 30_000, grace_ms: int = LONG_GRACE_MS
    ) -> tuple[str, str]:
        """Run code; returns its outcome and what it printed."""
        self.executor.submit(request(msg_id, code, timeout_ms, grace_ms))
        reply = await self.reply(msg_id)
        contents = [frame["content"] for frame in self.frames(msg_id)]
        text = "".join(content.get("text", "") for content in contents)
        return reply["metadata"]["cellhouse"]["outcome"], text
