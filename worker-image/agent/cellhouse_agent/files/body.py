"""The body of a request on a connection that was taken over: of a known length, or in chunks (RFC 9112, 7.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from cellhouse_agent.files.connection import RECEIVE_BYTES, Connection
from cellhouse_agent.wire import MalformedMessage

MAX_SIZE_LINE_BYTES = 64
LINE_END = b"\r\n"


class Body:
    """Reads a body once. A piece is valid until the next one is asked for."""

    def __init__(self, connection: Connection, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._length = _length_of(headers)

    async def pieces(self) -> AsyncIterator[memoryview]:
        """Yield all bytes. Raises Cut if the end is missing, MalformedMessage for a malformed chunk."""
        if self._length is not None:
            async for piece in self._take(self._length):
                yield piece
            return
        while size := _size_of(await self._line()):
            async for piece in self._take(size):
                yield piece
            if await self._line():
                raise MalformedMessage("a chunk is longer than it says")
        # Trailers are allowed, and ignored.
        while await self._line():
            pass

    async def _take(self, count: int) -> AsyncIterator[memoryview]:
        while count:
            if self._start == self._end:
                await self._fill()
            piece = self._view[self._start : min(self._end, self._start + count)]
            self._start += len(piece)
            count -= len(piece)
            yield piece

    async def _line(self) -> bytes:
        """The next line, without its end."""
        while True:
            found = self._buffer.find(LINE_END, self._start, self._end)
            if found >= 0:
                line = bytes(self._view[self._start : found])
                self._start = found + len(LINE_END)
                return line
            if self._end - self._start > MAX_SIZE_LINE_BYTES:
                raise MalformedMessage("the line before a chunk is too long")
            await self._fill()

    async def _fill(self) -> None:
        """Receive more bytes, behind those that are not read yet."""
        left = self._end - self._start
        self._view[:left] = bytes(self._view[self._start : self._end])
        self._start, self._end = 0, left
        self._end += await self._connection.receive_into(self._view[left:])


def _length_of(headers: Mapping[str, str]) -> int | None:
    """The length of the body; None if it comes in chunks."""
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return None
    text = headers.get("Content-Length", "")
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise MalformedMessage("Content-Length must be a whole number")
    return int(text)


def _size_of(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 13 or digits.strip(b"0123456789abcdefABCDEF"):
        raise MalformedMessage("the size of a chunk must be a hexadecimal number")
    return int(digits, 16)
