"""GET and PUT /files/content."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

from cellhouse_agent.files.connection import Connection, Cut
from cellhouse_agent.files.helper import Fields, FileRefused
from cellhouse_agent.files.transfer import TransferHandler
from cellhouse_files.refusals import refusal_of


class ContentHandler(TransferHandler):
    """The content of one file."""

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
                # The caller gets fewer bytes than were announced, and so knows.
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
        """Begin a writing, write what comes, and finish or give up the writing."""
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
