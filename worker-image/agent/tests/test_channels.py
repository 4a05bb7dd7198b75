"""The channel of a gateway, over a socket, with a real kernel: run as root in the worker image."""

import asyncio
import os
import socket
import tempfile
import unittest
from typing import Any

from tornado.netutil import Resolver
from tornado.websocket import websocket_connect

from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.gateway.server import MAX_FRAME_BYTES, POLICY_CODE, TOO_BIG_CODE, serve
from cellhouse_agent.services import Services
from cellhouse_agent.usage.container import find_usage
from tests.with_executor import PATIENCE_SECONDS, WithExecutor
from tests.with_files import fork_as_agent
from tests.with_socket import EPOCH


class UnixResolver(Resolver):
    """Leads every name to one socket."""

    def initialize(self, path: str) -> None:
        """Take the socket's path."""
        self.path = path

    async def resolve(self, host: str, port: int, family: Any = None) -> list[tuple[int, Any]]:
        """See Resolver."""
        return [(socket.AF_UNIX, self.path)]


class ChannelsTest(WithExecutor):
    """A worker with its socket."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.path = os.path.join(folder, "agent.sock")
        gate = GatewayGate(asyncio.get_running_loop().time)
        files = FilesHelper(fork_as_agent())
        self.addAsyncCleanup(files.close)
        services = Services("boot", self.executor, self.buffer, gate, find_usage(), files)
        self.addCleanup(serve(self.path, services))

    async def close_code_after(self, frame: str | bytes) -> int | None:
        """The code with which the agent closes the channel after this frame."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            channel = await websocket_connect(
                f"ws://agent/channels?epoch={EPOCH}&after=0", resolver=UnixResolver(self.path)
            )
            await channel.write_message(frame, binary=isinstance(frame, bytes))
            while await channel.read_message() is not None:
                pass
        channel.close()
        return channel.close_code

    async def test_the_limit_of_a_frame_counts_bytes(self) -> None:
        # Each ü takes two bytes.
        largest = "ü" * (MAX_FRAME_BYTES // 2)
        for frame in (largest, largest.encode()):
            self.assertEqual(await self.close_code_after(frame), POLICY_CODE)
        for frame in (largest + "u", largest.encode() + b"u"):
            self.assertEqual(await self.close_code_after(frame), TOO_BIG_CODE)


if __name__ == "__main__":
    unittest.main()
