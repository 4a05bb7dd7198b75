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
from cellhouse_agent.files.access import FilesAccess
from cellhouse_agent.files.routes import file_routes
from tests.with_files import PATIENCE_SECONDS, WithFiles

SHORT_SILENCE_SECONDS = 0.2


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

    async def answer_to(self, what: str, begin: bytes) -> tuple[int, str]:
        """Ask to upload, send only the beginning, and wait. Returns the status and the error of the answer."""
        reader, writer = await asyncio.open_unix_connection(self.socket_path)
        query = f"session_id=s&boot_id=boot&path={quote(self.path('silent'))}"
        head = f"PUT /files/{what}?{query} HTTP/1.1\r\nHost: agent\r\nExpect: 100-continue\r\n"
        writer.write(f"{head}Content-Length: 2048\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.assertIn(b" 100 ", await reader.readuntil(b"\r\n\r\n"))
            writer.write(begin)
            answer = await reader.read()
        writer.close()
        first, _, rest = answer.partition(b"\r\n")
        return int(first.split()[1]), json.loads(rest.partition(b"\r\n\r\n")[2])["error"]

    async def test_an_upload_that_falls_silent_is_told_so_and_leaves_nothing(self) -> None:
        self.assertEqual(await self.answer_to("content", b"begin"), (408, "timed_out"))
        self.assertEqual(os.listdir(self.folder), [])

    async def test_an_archive_that_falls_silent_is_told_so(self) -> None:
        self.assertEqual(await self.answer_to("archive", b"begin"), (408, "timed_out"))
        self.assertEqual(os.listdir(self.path("silent")), [])


if __name__ == "__main__":
    unittest.main()
