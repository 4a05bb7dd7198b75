"""Transfers of files over a socket, with callers who fall silent."""

import asyncio
import json
import os
import tempfile
import unittest
from unittest import mock
from urllib.parse import quote

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application

from cellhouse_agent.files import connection
from cellhouse_agent.files.handlers import file_routes
from cellhouse_agent.files.helper import FilesAccess
from tests.test_few_descriptors import open_descriptors, room_for
from tests.with_files import PATIENCE_SECONDS, WithFiles

SHORT_SILENCE_SECONDS = 0.2
BODY_BYTES = 2_048


class TransfersTest(WithFiles):
    """A helper behind the agent's routes."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.socket_path = os.path.join(
            self.enterContext(tempfile.TemporaryDirectory()), "agent.sock"
        )
        routes = file_routes(self.helper, FilesAccess("boot"))
        server = HTTPServer(Application([*routes]))
        server.add_socket(bind_unix_socket(self.socket_path))
        self.addCleanup(server.stop)
        self.enterContext(mock.patch.object(connection, "SILENCE_SECONDS", SHORT_SILENCE_SECONDS))

    def head(self, route: str, name: str) -> bytes:
        """The head of a request. The body of a PUT has BODY_BYTES."""
        query = f"session_id=s&boot_id=boot&path={quote(self.path(name))}"
        lines = [f"{route}?{query} HTTP/1.1", "Host: agent"]
        if route.startswith("PUT"):
            lines += ["Expect: 100-continue", f"Content-Length: {BODY_BYTES}"]
        return "\r\n".join([*lines, "", ""]).encode()

    async def answer_to(self, what: str, begin: bytes) -> tuple[int, str]:
        """Ask to upload, send only the beginning, and wait. Returns the status and the error of the answer."""
        reader, writer = await asyncio.open_unix_connection(self.socket_path)
        writer.write(self.head(f"PUT /files/{what}", "silent"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.assertIn(b" 100 ", await reader.readuntil(b"\r\n\r\n"))
            writer.write(begin)
            answer = await reader.read()
        writer.close()
        first, _, rest = answer.partition(b"\r\n")
        return int(first.split()[1]), json.loads(rest.partition(b"\r\n\r\n")[2])["error"]

    async def test_an_upload_that_falls_silent_is_refused_and_leaves_nothing(self) -> None:
        self.assertEqual(await self.answer_to("content", b"begin"), (408, "timed_out"))
        self.assertEqual(os.listdir(self.folder), [])

    async def test_an_archive_that_falls_silent_is_refused(self) -> None:
        self.assertEqual(await self.answer_to("archive", b"begin"), (408, "timed_out"))
        self.assertEqual(os.listdir(self.path("silent")), [])

    async def test_without_a_free_descriptor_a_transfer_fails_and_leaves_nothing(self) -> None:
        self.enterContext(mock.patch.object(connection, "SILENCE_SECONDS", PATIENCE_SECONDS))
        await self.write("file", b"x" * BODY_BYTES)
        # Each transfer needs a duplicate of the connection. A download first opens the file, so it needs two.
        for route, expected in (("PUT", [500, 200, 200]), ("GET", [500, 500, 200])):
            statuses = [
                await self.status_with(room, f"{route} /files/content") for room in range(3)
            ]
            self.assertEqual(statuses, expected, route)
        self.assertEqual(os.listdir(self.folder), ["file"])

    async def status_with(self, room: int, route: str) -> int:
        """The status of a transfer for which the agent can open `room` descriptors. The agent must keep none open."""
        before = len(open_descriptors())
        reader, writer = await asyncio.open_unix_connection(self.socket_path)
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The answer shows that the connection is accepted: its descriptor is not part of `room`.
            writer.write(self.head("GET /files/stat", "file"))
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0]))
            with room_for(room):
                writer.write(self.head(route, "file"))
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 100 " in head:
                    writer.write(b"y" * BODY_BYTES)
                    head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            while len(open_descriptors()) > before:
                await asyncio.sleep(0.01)
        return int(head.split()[1])


if __name__ == "__main__":
    unittest.main()
