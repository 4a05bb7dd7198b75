"""A connection that a handler has taken over from tornado, so that bytes need not be copied through tornado.

Each transfer is alone on its connection. Back-pressure: the next bytes are read only when the last ones are written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import TypeVar

from tornado.web import RequestHandler

from cellhouse_agent.gateway.http_api import detached_socket
from cellhouse_agent.json_values import JsonObject, MalformedMessage

# A transfer on which nothing moves for this long is cut.
SILENCE_SECONDS = 60.0
# How long a refused caller may take to read why and to hang up.
GOODBYE_SECONDS = 5.0
# Large enough that the cost of a call does not matter, small enough that other work is not delayed.
BLOCK_BYTES = 1_048_576
RECEIVE_BYTES = 262_144
REASONS = {200: "OK", 201: "Created", 206: "Partial Content", 304: "Not Modified"}

Result = TypeVar("Result")


class Cut(Exception):
    """The other side has hung up, or was silent for SILENCE_SECONDS."""


class Silence(Cut):
    """The other side is still connected, but was silent for SILENCE_SECONDS."""


class Connection:
    """Owns the socket."""

    def __init__(self, handler: RequestHandler) -> None:
        self._socket = detached_socket(handler)
        self._loop = asyncio.get_running_loop()

    async def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer."""
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Refused')}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode("ascii"))

    async def answer(self, status: int, body: JsonObject) -> None:
        """Give a whole answer."""
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        await self.send_head(status, headers)
        await self.send(data)

    async def send(self, data: bytes | memoryview) -> None:
        """Send bytes; raises Cut."""
        await _in_time(self._loop.sock_sendall(self._socket, data))

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Send a part of a file; raises Cut, also if the file has become too short."""
        end = offset + count
        while offset < end:
            try:
                sent = os.sendfile(
                    self._socket.fileno(), descriptor, offset, min(BLOCK_BYTES, end - offset)
                )
            except BlockingIOError:
                await self._until_writable()
                continue
            except OSError as error:
                raise Cut(error.strerror) from error
            if sent == 0:
                raise Cut("the file has become shorter")
            offset += sent
            await asyncio.sleep(0)

    async def receive_into(self, buffer: memoryview) -> int:
        """Receive the bytes that have arrived, at least one; raises Cut at the end of the connection."""
        received = await _in_time(self._loop.sock_recv_into(self._socket, buffer))
        if received == 0:
            raise Cut("the connection has ended")
        return received

    async def say_goodbye(self) -> None:
        """Let the other side read the answer. A close with unread bytes of the other side would discard the answer."""
        buffer = bytearray(RECEIVE_BYTES)
        with contextlib.suppress(OSError, TimeoutError):
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(GOODBYE_SECONDS):
                while await self._loop.sock_recv_into(self._socket, buffer):
                    pass

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    async def _until_writable(self) -> None:
        fd = self._socket.fileno()
        is_writable = self._loop.create_future()
        self._loop.add_writer(fd, _resolve, is_writable)
        try:
            await _in_time(is_writable)
        finally:
            self._loop.remove_writer(fd)


async def _in_time(step: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            return await step
    except TimeoutError as error:
        raise Silence from error
    except OSError as error:
        raise Cut(error.strerror) from error


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


MAX_SIZE_LINE_BYTES = 64
LINE_END = b"\r\n"


class Body:
    """The body of a request on a connection that was taken over: of a known length, or in chunks (RFC 9112, 7.1).

    It is read once. A piece is valid until the next one is asked for.
    """

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
