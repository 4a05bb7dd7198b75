"""A connection of tornado's that this handler has taken over, to move bytes without copying them through tornado.

Each transfer is alone on its connection. Backpressure is the socket's own: nothing is read that cannot be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from tornado.web import RequestHandler

from cellhouse_agent.detached import detached_socket
from cellhouse_agent.wire import JsonObject

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
    """The other side is there, and was silent for SILENCE_SECONDS."""


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
        """Receive what is there, at least a byte; raises Cut at the end of the connection."""
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
