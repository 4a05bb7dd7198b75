"""The routes of docs/internals/worker-protocol.md, "Files" and "Watchers"."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from tornado.web import RequestHandler

from cellhouse_agent.files.base_handlers import FilesHandler, TransferHandler
from cellhouse_agent.files.connection import Connection, Cut
from cellhouse_agent.files.helper import Answered, Fields, FileRefused, FilesAccess, FilesHelper
from cellhouse_agent.json_values import MalformedMessage
from cellhouse_files.refusals import refusal_of

MAX_LISTED = 1_000


class StatHandler(FilesHandler):
    """GET /files/stat."""

    async def get(self) -> None:
        """The entry of one path."""
        query = self.query
        await self.tell("stat", {"path": query.path(), "follow": query.flag("follow")})


class ListHandler(FilesHandler):
    """GET /files/list."""

    async def get(self) -> None:
        """One page of a folder's entries."""
        query = self.query
        fields = {
            "path": query.path(),
            "depth": query.number("depth", 1, minimum=1),
            "limit": query.number("limit", MAX_LISTED, minimum=1),
            "after": query.text("after"),
        }
        await self.tell_memory("list", fields)


class DirectoryHandler(FilesHandler):
    """POST /files/directory."""

    async def post(self) -> None:
        """Make a folder."""
        query = self.query
        await self.tell("make_folder", {"path": query.path(), "parents": query.flag("parents")})


class MoveHandler(FilesHandler):
    """POST /files/move."""

    async def post(self) -> None:
        """Move a file or folder."""
        query = self.query
        flags = {name: query.flag(name) for name in ("overwrite", "make_parents")}
        goal = {"to": query.path("to"), **flags}
        await self.tell("move", {"from": query.path("from"), **goal})


class DeleteHandler(FilesHandler):
    """POST /files/delete."""

    async def post(self) -> None:
        """Delete a file or folder."""
        query = self.query
        how = {"recursive": query.flag("recursive"), **self.preconditions()}
        await self.tell("delete", {"path": query.path(), **how})


# How long a watcher is kept while nobody asks it: the default, and the most that a caller may demand.
KEEP_MS = 3_600_000
MAX_KEEP_MS = 86_400_000


class WatchHandler(FilesHandler):
    """POST /files/watch."""

    async def post(self) -> None:
        """Watch a folder."""
        query = self.query
        keep_ms = query.number("keep_ms", KEEP_MS, minimum=1)
        if keep_ms > MAX_KEEP_MS:
            raise MalformedMessage(f"keep_ms must be at most {MAX_KEEP_MS}")
        flags = {name: query.flag(name) for name in ("recursive", "entries")}
        await self.tell("make_watcher", {"path": query.path(), "keep_ms": keep_ms, **flags})


class EventsHandler(FilesHandler):
    """POST /files/watch/events: a POST, since each event is reported only once."""

    async def post(self) -> None:
        """The events since the last answer."""
        await self.tell_memory("tell_events", {"watcher": self.query.identifier("watcher")})


class UnwatchHandler(FilesHandler):
    """POST /files/watch/end."""

    async def post(self) -> None:
        """Stop watching a folder."""
        await self.tell("end_watcher", {"watcher": self.query.identifier("watcher")})


class ContentHandler(TransferHandler):
    """GET and PUT /files/content: the content of one file."""

    async def send(self) -> None:
        """Send a part of the file."""
        query = self.query
        offset = query.number("offset", 0, minimum=-(2**53))
        length = query.number("length", 2**53)
        fields: Fields = {"path": query.path(), **self.preconditions()}
        answer = await self.helper.ask("read", fields)
        if answer.descriptor is None:
            raise FileRefused("internal", "no descriptor")
        try:
            entry = answer.fields["entry"]
            first, count = part_of(entry["size"], offset, length)
            headers = {"X-Cellhouse-Entry": json.dumps(entry), "X-Cellhouse-Offset": str(first)}
            connection = Connection(self)
            try:
                if answer.fields["is_known"]:
                    await connection.send_head(304, headers)
                else:
                    await connection.send_head(200, {**headers, "Content-Length": str(count)})
                    await connection.send_file(answer.descriptor, first, count)
            except Cut:
                # The caller gets fewer bytes than were announced, so it knows that the transfer has failed.
                return
            finally:
                connection.close()
        finally:
            os.close(answer.descriptor)

    async def receive(self) -> None:
        """Write the body into a part file, which then replaces the file (cellhouse_files/writing.py)."""
        query = self.query
        flags = {name: query.flag(name) for name in ("make_parents", "append")}
        fields = {"path": query.path(), **flags, **self.preconditions()}
        await self.take_body(lambda pieces: self._write(fields, pieces))

    async def _write(self, fields: Fields, pieces: AsyncIterator[memoryview]) -> Fields:
        """Begin to write the file, write the pieces, and then finish or give up."""
        begun = await self.helper.ask("write", fields)
        writing = {"writing": begun.fields["writing"]}
        descriptor = begun.descriptor
        try:
            if descriptor is None:
                raise FileRefused("internal", "no descriptor")
            try:
                async for piece in pieces:
                    write_all(descriptor, piece)
            finally:
                os.close(descriptor)
        except BaseException:
            await self.helper.ask("give_up_write", writing)
            raise
        return (await self.helper.ask("finish_write", writing)).fields


def part_of(size: int, offset: int, length: int) -> tuple[int, int]:
    """The first byte and the number of bytes of a part. A negative offset counts from the end; raises FileRefused."""
    if offset >= size > 0 or (offset and size == 0):
        raise FileRefused("bad_range", f"The file has {size} bytes.")
    first = offset if offset >= 0 else max(0, size + offset)
    return first, min(length, size - first)


def write_all(descriptor: int, piece: memoryview) -> None:
    """Write to a file. Its disk is in memory, so the write does not block. Raises FileRefused."""
    while piece:
        try:
            piece = piece[os.write(descriptor, piece) :]
        except OSError as error:
            refused = refusal_of(error)
            raise FileRefused(refused.code, str(refused)) from error


FORMATS = ("tar", "zip")
LAST_CHUNK = b"0\r\n\r\n"


class ArchiveHandler(TransferHandler):
    """GET and PUT /files/archive: a folder as one stream.

    The helper makes or unpacks the archive. A pipe carries it between the helper and the agent.
    """

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
        """Send the helper this order and one end of a pipe. The caller may then close that end."""
        task = asyncio.create_task(self.helper.stream(do, fields, end))
        # Let the task begin. It sends the end before it first waits.
        await asyncio.sleep(0)
        return task


PIECE_BYTES = 262_144


class Pipe:
    """A pipe between agent and helper, through which an archive goes. Waiting costs no thread."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._open = {self._reading, self._writing}
        self._loop = asyncio.get_running_loop()

    @property
    def reading(self) -> int:
        """The end to read from."""
        return self._reading

    @property
    def writing(self) -> int:
        """The end to write to."""
        return self._writing

    def close(self, *ends: int) -> None:
        """Close these ends, or both."""
        for end in ends or (self._reading, self._writing):
            if end in self._open:
                self._open.discard(end)
                os.close(end)

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while True:
            try:
                return os.read(self._reading, PIECE_BYTES)
            except BlockingIOError:
                await self._ready(self._reading, self._loop.add_reader, self._loop.remove_reader)

    async def write(self, piece: memoryview) -> None:
        """Write all of it; raises BrokenPipeError when the helper has closed its end."""
        while piece:
            try:
                piece = piece[os.write(self._writing, piece) :]
            except BlockingIOError:
                await self._ready(self._writing, self._loop.add_writer, self._loop.remove_writer)

    async def _ready(
        self,
        end: int,
        add: Callable[..., object],
        remove: Callable[[int], object],
    ) -> None:
        is_ready: asyncio.Future[None] = self._loop.create_future()
        add(end, _resolve, is_ready)
        try:
            await is_ready
        finally:
            remove(end)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


# Each handler by its path.
HANDLERS: dict[str, type[RequestHandler]] = {
    "/files/stat": StatHandler,
    "/files/list": ListHandler,
    "/files/content": ContentHandler,
    "/files/archive": ArchiveHandler,
    "/files/directory": DirectoryHandler,
    "/files/move": MoveHandler,
    "/files/delete": DeleteHandler,
    "/files/watch": WatchHandler,
    "/files/watch/events": EventsHandler,
    "/files/watch/end": UnwatchHandler,
}


def file_routes(
    helper: FilesHelper, access: FilesAccess
) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Each handler at its path."""
    parts = {"helper": helper, "access": access}
    return [(path, handler, parts) for path, handler in HANDLERS.items()]
