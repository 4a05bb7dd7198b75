"""Shared parts of the tests of commands: run as root, or as the agent, in the worker image."""

import asyncio
import base64
from typing import Any

from cellhouse_agent.commands.spawner import CommandMaker
from cellhouse_agent.executions.executor import Executor, Factories
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.requests import CommandOptions, ExecuteRequest
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.kernel.launcher import command_environment
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_agent.usage.container import find_usage
from cellhouse_kernel.forking import Forked

from tests.with_executor import PATIENCE_SECONDS, Frames

BUFFER_BYTES = 60_000_000
MAX_OUTPUT_BYTES = 20_000_000
PLAIN = CommandOptions({}, None)


def command(
    msg_id: str,
    code: str,
    timeout_ms: int = 60_000,
    grace_ms: int = 20_000,
    found: CommandOptions = PLAIN,
) -> ExecuteRequest:
    """A request for a command that may print MAX_OUTPUT_BYTES."""
    header = {"msg_id": msg_id}
    limits = (timeout_ms, grace_ms, MAX_OUTPUT_BYTES)
    return ExecuteRequest(msg_id, code, {**header}, *limits, None, found)


class WithCommands(Frames):
    """A worker without a kernel and without its socket."""

    home: HomeWatch | None = None
    first: Forked | None = None

    async def asyncSetUp(self) -> None:
        self.buffer = ReplayBuffer(BUFFER_BYTES)
        writer = FrameWriter(self.buffer, "boot", 16_777_216)
        self.maker = CommandMaker(command_environment(cpus=1), self.first)
        factories = Factories(command=self.maker.order)
        self.executor = Executor(self.buffer, writer, find_usage(), self.home, factories)

    async def asyncTearDown(self) -> None:
        commands = self.executor.commands
        await commands.close()
        await self.maker.close()
        self.assertFalse(commands.failure.done())
        # Commands that still ran were killed, but may not have ended yet.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while [*user_processes()]:
                await asyncio.sleep(0.01)

    async def run_command(self, msg_id: str, code: str, **how: Any) -> dict[str, Any]:
        """Run a command; returns the report on it, with `ename` and `evalue` of its reply (None without an error)."""
        self.executor.submit(command(msg_id, code, **how))
        return await self.report(msg_id)

    async def report(self, msg_id: str) -> dict[str, Any]:
        """The report on a command, once it has ended."""
        reply = await self.reply(msg_id)
        error = {name: reply["content"].get(name) for name in ("ename", "evalue")}
        return {**reply["metadata"]["cellhouse"], **error}

    def written(self, msg_id: str, name: str = "stdout") -> bytes:
        """The bytes that a command has written so far."""
        contents = [frame["content"] for frame in self.frames(msg_id)]
        return b"".join(_bytes_of(each) for each in contents if each.get("name") == name)

    async def wrote(self, msg_id: str, text: bytes) -> None:
        """Wait until a command has written this."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while text not in self.written(msg_id):
                await self.buffer.wait_for(self.buffer.last_seq + 1)

    async def output(self, msg_id: str, code: str, **how: Any) -> str:
        """Run a command that ends by itself, without an error; returns what it wrote."""
        report = await self.run_command(msg_id, code, **how)
        self.assertEqual(self.written(msg_id, "stderr"), b"")
        self.assertEqual((report["outcome"], report["exit_code"]), ("finished", 0), report)
        return self.written(msg_id).decode()


def _bytes_of(content: dict[str, Any]) -> bytes:
    if "base64" in content:
        return base64.b64decode(content["base64"])
    return str(content["text"]).encode()
