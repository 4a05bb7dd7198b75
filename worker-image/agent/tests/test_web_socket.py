"""The WebSocket of a gateway, as a client sees it byte by byte."""

import asyncio
import os
import struct
import tempfile
import unittest
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from cellhouse_agent.web_socket import WebSocket

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: agent\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\x01\x02\x03\x04"
MAX_MESSAGE_BYTES = 1_000_000
LONG = "é" * 100_000


class Echo(WebSocketHandler):
    """Sends each message back."""

    def get_websocket_protocol(self) -> Any:
        """The protocol under test."""
        protocol: Any = super().get_websocket_protocol()
        return WebSocket(self, False, protocol.params)

    def on_message(self, message: str | bytes) -> None:
        """Send the message back."""
        self.write_message(message, binary=isinstance(message, bytes))


def frame(payload: bytes, first: int = 0x81, mask: bytes = MASK) -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class WebSocketTest(unittest.IsolatedAsyncioTestCase):
    """A server and one client of it."""

    async def asyncSetUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "socket")
        self.server = HTTPServer(
            Application([("/", Echo)], websocket_max_message_size=MAX_MESSAGE_BYTES)
        )
        self.server.add_socket(bind_unix_socket(path))
        self.reader, self.writer = await asyncio.open_unix_connection(path)
        self.writer.write(HANDSHAKE)
        await self.reader.readuntil(b"\r\n\r\n")

    async def asyncTearDown(self) -> None:
        self.writer.close()
        self.server.stop()
        await asyncio.sleep(0.01)
        self.folder.cleanup()

    async def read(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first, await self.reader.readexactly(size)

    async def test_takes_messages_of_any_size(self) -> None:
        for text in ("", "a", "b" * 125, "c" * 126, "d" * 65_535, "e" * 65_536, LONG):
            self.writer.write(frame(text.encode()))
            self.assertEqual(await self.read(), (0x81, text.encode()))

    async def test_takes_several_at_once_and_one_byte_by_byte(self) -> None:
        data = frame(b"one") + frame(b"two", 0x82) + frame(b"three")
        self.writer.write(data)
        expected = [(0x81, b"one"), (0x82, b"two"), (0x81, b"three")]
        self.assertEqual([await self.read() for _ in range(3)], expected)
        for byte in data:
            self.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        self.assertEqual([await self.read() for _ in range(3)], expected)

    async def test_puts_fragments_together_with_pings_in_between(self) -> None:
        self.writer.write(frame(b"a", 0x01) + frame(b"p", 0x89) + frame(b"b", 0x00))
        self.writer.write(frame(b"c", 0x80))
        self.assertEqual(await self.read(), (0x8A, b"p"))
        self.assertEqual(await self.read(), (0x81, b"abc"))

    async def test_answers_a_close_and_ends(self) -> None:
        self.writer.write(frame(struct.pack("!H", 1000), 0x88))
        self.assertEqual(await self.read(), (0x88, struct.pack("!H", 1000)))
        self.assertEqual(await self.reader.read(), b"")

    async def test_refuses_what_is_too_big(self) -> None:
        self.writer.write(struct.pack("!BBQ", 0x81, 0xFF, MAX_MESSAGE_BYTES + 1))
        first, payload = await self.read()
        self.assertEqual((first, payload[:2]), (0x88, struct.pack("!H", 1009)))
        self.assertEqual(await self.reader.read(), b"")

    async def test_ends_at_what_breaks_the_protocol(self) -> None:
        wrong = (
            frame(b"a", 0xC1),
            frame(b"a", 0x80),
            frame(b"a", 0x01) + frame(b"b"),
            frame(b"a", 0x09),
            frame(b"a" * 126, 0x89),
            frame(b"\xff"),
            frame(b"a", 0x83),
            frame(b"\x03\xe8\xff\xfe", 0x88) + frame(b"a"),
        )
        for data in wrong:
            with self.subTest(data):
                self.writer.write(data)
                self.assertEqual(await self.reader.read(), b"")
                await self.asyncTearDown()
                await self.asyncSetUp()

    async def test_waits_for_a_client_that_does_not_read(self) -> None:
        text = "x" * 900_000
        count = 5
        for _ in range(count):
            self.writer.write(frame(text.encode()))
            await self.writer.drain()
        for _ in range(count):
            self.assertEqual(await self.read(), (0x81, text.encode()))


if __name__ == "__main__":
    unittest.main()
