"""GET and PUT /files/archive: the helper makes or unpacks the archive, at the other end of a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cellhouse_agent.files.connection import Connection, Cut
from cellhouse_agent.files.helper import Answered, Fields, FileRefused
from cellhouse_agent.files.pipes import Pipe
from cellhouse_agent.files.transfer import TransferHandler

FORMATS = ("tar", "zip")
LAST_CHUNK = b"0\r\n\r\n"


class ArchiveHandler(TransferHandler):
    """A folder as one stream."""

    async def send(self) -> None:
        """Send an archive in chunks. The last one is sent only if the archive is complete."""
        query = self.query
        fields = {"path": query.path(), "format": query.choice("format", FORMATS)}
        pipe = Pipe()
        making = await self._begin("read_archive", fields, pipe.writing)
        try:
            pipe.close(pipe.writing)
            first = await pipe.read()
            if not first:
                # Nothing has been sent yet, so a refusal can still be the answer.
                await making
            await self._send_chunks(pipe, first, making)
        finally:
            making.cancel()
            pipe.close()

    async def _send_chunks(self, pipe: Pipe, first: bytes, making: asyncio.Task[Answered]) -> None:
        connection = Connection(self)
        try:
            await connection.send_head(200, {"Transfer-Encoding": "chunked"})
            piece = first
            while piece:
                await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                piece = await pipe.read()
            await making
            await connection.send(LAST_CHUNK)
        except (Cut, FileRefused):
            # Without the last chunk, the caller knows that the archive is not complete.
            return
        finally:
            connection.close()

    async def receive(self) -> None:
        """Unpack an archive."""
        self.query.choice("format", FORMATS[:1])
        path = self.query.path()
        await self.take_body(lambda pieces: self._unpack(path, pieces))

    async def _unpack(self, path: str, pieces: AsyncIterator[memoryview]) -> Fields:
        pipe = Pipe()
        unpacking = await self._begin("write_archive", {"path": path}, pipe.reading)
        try:
            pipe.close(pipe.reading)
            try:
                async for piece in pieces:
                    await pipe.write(piece)
            except BrokenPipeError:
                # The helper has refused.
                pass
            pipe.close(pipe.writing)
            return (await unpacking).fields
        finally:
            unpacking.cancel()
            pipe.close()

    async def _begin(self, do: str, fields: Fields, end: int) -> asyncio.Task[Answered]:
        """Send the order, with one end of a pipe."""
        task = asyncio.create_task(self.helper.stream(do, fields, end))
        await asyncio.sleep(0)
        return task
