"""GET and PUT /files/content."""

from __future__ import annotations

import os
from typing import Any

from tornado.web import stream_request_body

from cellhouse_agent.errors import refusal_of
from cellhouse_agent.files.body import Body
from cellhouse_agent.files.connection import Connection, Cut
from cellhouse_agent.files.handlers import FilesHandler, header_of
from cellhouse_agent.files.helper import Fields, FileRefused
from cellhouse_agent.wire import MalformedMessage
from cellhouse_files.refusals import refusal_of as refusal_of_call

# Without a body, the caller learns of a refusal before it has sent one.
EXPECTATION = "100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@stream_request_body
class TransferHandler(FilesHandler):
    """A request that takes the connection over. Everything happens in `prepare`, before tornado reads a body."""

    async def prepare(self) -> Any:
        """Carry out the request."""
        super().prepare()
        with self.access.turn():
            if self.request.method == "GET":
                await self.send()
            elif self.request.method == "PUT":
                await self.receive()

    def get(self) -> None:
        """Never reached: `prepare` has answered."""

    def put(self) -> None:
        """Never reached: `prepare` has answered."""

    async def send(self) -> None:
        """Answer a GET."""
        raise NotImplementedError

    async def receive(self) -> None:
        """Answer a PUT."""
        raise NotImplementedError


class ContentHandler(TransferHandler):
    """The content of one file."""

    async def send(self) -> None:
        """Send a part of the file."""
        query = self.query
        offset = query.number("offset", 0, minimum=-(2**53))
        length = query.number("length", 2**53)
        fields: Fields = {"path": query.path(), **self._preconditions()}
        answer = await self.helper.ask("read", fields)
        if answer.descriptor is None:
            raise FileRefused("internal", "no descriptor")
        try:
            entry = answer.fields["entry"]
            first, count = part_of(entry["size"], offset, length)
            headers = {"X-Cellhouse-Entry": header_of(entry), "X-Cellhouse-Offset": str(first)}
            connection = Connection(self)
            try:
                if answer.fields["is_known"]:
                    await connection.send_head(304, headers)
                else:
                    await connection.send_head(200, {**headers, "Content-Length": str(count)})
                    await connection.send_file(answer.descriptor, first, count)
            except Cut:
                # The caller misses bytes, and so knows.
                return
            finally:
                connection.close()
        finally:
            os.close(answer.descriptor)

    async def receive(self) -> None:
        """Write the file: its part first, which then takes its place."""
        if self.request.headers.get("Expect", "").lower() != EXPECTATION:
            raise MalformedMessage(f"Expect must be {EXPECTATION}")
        query = self.query
        flags = {name: query.flag(name) for name in ("make_parents", "append")}
        answer = await self.helper.ask(
            "write", {"path": query.path(), **flags, **self._preconditions()}
        )
        connection = Connection(self)
        try:
            await self._take_body(connection, answer.descriptor or 0, answer.fields["writing"])
        except Cut:
            return
        finally:
            connection.close()

    async def _take_body(self, connection: Connection, descriptor: int, writing: int) -> None:
        """Write what comes, and finish or give up the writing."""
        is_finished = False
        try:
            try:
                await connection.send(CONTINUE)
                async for piece in Body(connection, self.request.headers).pieces():
                    write_all(descriptor, piece)
            finally:
                os.close(descriptor)
            is_finished = True
            done = (await self.helper.ask("finish_write", {"writing": writing})).fields
            await connection.answer(201 if done["created"] else 200, done)
        except (FileRefused, MalformedMessage) as error:
            status, body = refusal_of(error) or (500, {"error": "internal"})
            await connection.answer(status, body)
            await connection.say_goodbye()
        finally:
            if not is_finished:
                await self.helper.ask("give_up_write", {"writing": writing})

    def _preconditions(self) -> Fields:
        names = ("if_match", "if_none_match")
        return {name: self.query.text(name) for name in names}


def part_of(size: int, offset: int, length: int) -> tuple[int, int]:
    """The first byte and the number of bytes of a part. A negative offset counts from the end; raises FileRefused."""
    if offset >= size > 0 or (offset and size == 0):
        raise FileRefused("bad_range", f"The file has {size} bytes.")
    first = offset if offset >= 0 else max(0, size + offset)
    return first, min(length, size - first)


def write_all(descriptor: int, piece: memoryview) -> None:
    """Write to a file on a disk in memory, which waits for nothing; raises FileRefused."""
    while piece:
        try:
            piece = piece[os.write(descriptor, piece) :]
        except OSError as error:
            refused = refusal_of_call(error)
            raise FileRefused(refused.code, str(refused)) from error
