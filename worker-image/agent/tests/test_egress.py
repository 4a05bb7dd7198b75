"""The agent's listener for connections of code, and the gateway's streams that carry these connections."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import tempfile
import unittest
from typing import Any
from unittest.mock import patch

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from cellhouse_agent import egress as module
from cellhouse_agent.egress import (
    BLOCK_BYTES,
    LISTEN_HOST,
    LISTEN_PORT,
    MAX_STREAMS,
    MAX_WAITING,
    TAKEN,
    Egress,
    egress_environment,
    open_egress,
)
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.gateway.server import EgressHandler
from tests.seeded import SEED

PATIENCE_SECONDS = 20.0
UPGRADE = "Connection: Upgrade\r\nUpgrade: cellhouse-egress\r\n"


class WithEgress(unittest.IsolatedAsyncioTestCase):
    """A listener, and sockets that are closed with the test."""

    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.gate = GatewayGate(self.loop.time)
        self.egress: Egress = open_egress(self.gate)
        self.addCleanup(self.egress.close)

    def keep(self, end: socket.socket) -> socket.socket:
        """A socket that does not block, and is closed with the test."""
        end.setblocking(False)
        self.addCleanup(end.close)
        return end

    def park(self) -> socket.socket:
        """Dial a stream; returns the gateway's end."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.egress.park(theirs)
        return self.keep(ours)

    async def connect(self) -> socket.socket:
        """Connect as code does."""
        code = self.keep(socket.socket())
        await self.loop.sock_connect(code, (LISTEN_HOST, LISTEN_PORT))
        return code

    async def receive(self, end: socket.socket, count: int = BLOCK_BYTES) -> bytes:
        """The next bytes; empty once the connection has ended or was reset."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.loop.sock_recv(end, count)
        except ConnectionResetError:
            # The other end was closed before it had read everything.
            return b""

    async def receive_all(self, end: socket.socket) -> bytes:
        """All bytes up to the end."""
        received = bytearray()
        while part := await self.receive(end):
            received += part
        return bytes(received)

    async def send(self, end: socket.socket, data: bytes) -> None:
        """Send all of `data`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.loop.sock_sendall(end, data)

    async def taken(self, stream: socket.socket) -> None:
        """Wait until the agent has given the stream to code."""
        self.assertEqual(await self.receive(stream, 1), TAKEN)

    async def joined(self) -> tuple[socket.socket, socket.socket]:
        """Code's end and the gateway's end of a connection."""
        stream, code = self.park(), await self.connect()
        await self.taken(stream)
        return code, stream


class EgressTest(WithEgress):
    """Connections of code, and streams of the gateway."""

    async def test_joins_code_with_the_stream_that_was_parked_first(self) -> None:
        streams = [self.park(), self.park()]
        codes = [await self.connect(), await self.connect()]
        for code, stream in zip(codes, streams, strict=True):
            await self.taken(stream)
            await self.send(code, b"a question")
            self.assertEqual(await self.receive(stream), b"a question")
            await self.send(stream, b"an answer")
            self.assertEqual(await self.receive(code), b"an answer")

    async def test_ends_each_direction_by_itself(self) -> None:
        code, stream = await self.joined()
        code.shutdown(socket.SHUT_WR)
        self.assertEqual(await self.receive(stream), b"")
        await self.send(stream, b"still")
        self.assertEqual(await self.receive(code), b"still")
        stream.close()
        self.assertEqual(await self.receive(code), b"")

    async def test_carries_every_byte_in_order_in_both_directions_at_once(self) -> None:
        chance = random.Random(SEED)

        async def send_in_pieces(end: socket.socket, data: bytes) -> None:
            at = 0
            while at < len(data):
                size = chance.choice([1, 7, 1_000, 70_000, 300_000])
                await self.send(end, data[at : at + size])
                at += size
            end.shutdown(socket.SHUT_WR)

        pairs = [await self.joined() for _ in range(6)]
        jobs = []
        for ends in pairs:
            for source, target in (ends, ends[::-1]):
                data = chance.randbytes(chance.randrange(3_000_000))
                jobs.append((data, self.receive_all(target), send_in_pieces(source, data)))
        done = await asyncio.gather(*(step for _, *steps in jobs for step in steps))
        self.assertEqual([done[2 * at] == job[0] for at, job in enumerate(jobs)], [True] * 12)

    async def test_code_waits_until_a_stream_is_parked(self) -> None:
        first, second = await self.connect(), await self.connect()
        await self.send(first, b"first")
        await self.send(second, b"second")
        for expected in (b"first", b"second"):
            stream = self.park()
            await self.taken(stream)
            self.assertEqual(await self.receive(stream), expected)

    async def test_code_waits_for_a_limited_time(self) -> None:
        with patch.object(module, "WAIT_SECONDS", 0.2):
            code = await self.connect()
            self.assertEqual(await self.receive(code), b"")
        stream, other = self.park(), await self.connect()
        await self.taken(stream)
        await self.send(other, b"x")
        self.assertEqual(await self.receive(stream), b"x")

    async def test_at_most_max_waiting_connections_wait(self) -> None:
        waiting = [await self.connect() for _ in range(MAX_WAITING)]
        # The listener accepts connections in order, so it has accepted all of these before the next one.
        self.assertEqual(await self.receive(await self.connect()), b"")
        stream = self.park()
        await self.taken(stream)
        await self.send(waiting[0], b"x")
        self.assertEqual(await self.receive(stream), b"x")

    async def test_a_stream_whose_gateway_has_hung_up_or_speaks_too_early_is_given_to_nobody(
        self,
    ) -> None:
        gone, early, good = self.park(), self.park(), self.park()
        gone.close()
        await self.send(early, b"!")
        self.assertEqual(await self.receive(early), b"")
        code = await self.connect()
        await self.taken(good)
        await self.send(good, b"x")
        self.assertEqual(await self.receive(code), b"x")

    async def test_a_gateway_that_dies_while_code_connects_costs_the_code_nothing(self) -> None:
        code = await self.connect()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        ours.close()
        self.egress.park(theirs)
        stream = self.park()
        await self.taken(stream)
        await self.send(stream, b"x")
        self.assertEqual(await self.receive(code), b"x")

    async def test_a_takeover_closes_all_connections_of_the_former_gateway(self) -> None:
        self.gate.admit(1)
        code, stream = await self.joined()
        parked = self.park()
        waiting = [await self.connect() for _ in range(2)]
        await self.taken(parked)
        spare = self.park()
        await self.taken(spare)
        idle = self.park()
        self.gate.admit(2)
        for end in (code, stream, idle, *waiting):
            self.assertEqual(await self.receive(end), b"")

    async def test_a_broken_connection_ends_its_own_stream_only(self) -> None:
        (code, stream), (other, others_stream) = await self.joined(), await self.joined()
        # A reset instead of an end.
        code.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        code.close()
        self.assertEqual(await self.receive(stream), b"")
        await self.send(other, b"x")
        self.assertEqual(await self.receive(others_stream), b"x")

    async def test_a_side_that_does_not_read_holds_back_its_own_sender_only(self) -> None:
        code, stream = await self.joined()
        before = _send_until_full(stream)
        while sent := await self._more(stream):
            before += sent
        # The most that Linux buffers for two sockets, and one block.
        self.assertLess(before, 16_000_000)
        other, others_stream = await self.joined()
        await self.send(others_stream, b"x")
        self.assertEqual(await self.receive(other), b"x")
        stream.shutdown(socket.SHUT_WR)
        self.assertEqual(len(await self.receive_all(code)), before)

    async def _more(self, end: socket.socket) -> int:
        await asyncio.sleep(0.2)
        return _send_until_full(end)


class EgressHandlerTest(WithEgress):
    """`GET /egress`."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        parts = {"egress": self.egress, "gate": self.gate}
        server = HTTPServer(Application([("/egress", EgressHandler, parts)], log_function=_no_log))
        self.path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "agent.sock")
        server.add_socket(bind_unix_socket(self.path))
        self.addCleanup(server.stop)

    async def dial(self, query: str, headers: str = UPGRADE) -> tuple[int, socket.socket]:
        """Ask for a stream; returns the status, and the connection after the head of the answer."""
        stream = self.keep(socket.socket(socket.AF_UNIX))
        await self.loop.sock_connect(stream, self.path)
        await self.send(stream, f"GET /egress{query} HTTP/1.1\r\n{headers}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self.receive(stream, 1)
        return int(head.split()[1]), stream

    async def test_parks_a_stream(self) -> None:
        status, stream = await self.dial("?epoch=3")
        self.assertEqual(status, 101)
        code = await self.connect()
        await self.taken(stream)
        await self.send(stream, b"x")
        self.assertEqual(await self.receive(code), b"x")

    async def test_refuses_before_the_upgrade(self) -> None:
        self.gate.admit(3)
        refused: list[tuple[str, str, int]] = [
            ("?epoch=2", UPGRADE, 409),
            ("", UPGRADE, 400),
            ("?epoch=-3", UPGRADE, 400),
            ("?epoch=3", "", 400),
            ("?epoch=3", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 400),
        ]
        for query, headers, status in refused:
            with self.subTest(query=query, headers=headers):
                self.assertEqual((await self.dial(query, headers))[0], status)
        for _ in range(MAX_STREAMS):
            self.park()
        self.assertEqual((await self.dial("?epoch=3"))[0], 429)
        # A higher epoch ends the streams of the lower one, so there is room.
        self.assertEqual((await self.dial("?epoch=4"))[0], 101)


class EgressEnvironmentTest(unittest.TestCase):
    """The environment variables of code that has egress."""

    def test_leads_clients_to_the_listener(self) -> None:
        environment = egress_environment("")
        self.assertEqual(environment["https_proxy"], "http://127.0.0.1:3128")
        self.assertEqual(environment["NO_PROXY"], "localhost,127.0.0.1,::1")
        self.assertNotIn("PIP_INDEX_URL", environment)
        self.assertEqual(egress_environment("http://i/")["PIP_INDEX_URL"], "http://i/")


def _no_log(_handler: RequestHandler) -> None:
    """Keep tornado from logging requests."""


def _send_until_full(end: socket.socket) -> int:
    data: Any = bytes(BLOCK_BYTES)
    sent = 0
    try:
        while True:
            sent += end.send(data)
    except BlockingIOError:
        return sent


if __name__ == "__main__":
    unittest.main()
