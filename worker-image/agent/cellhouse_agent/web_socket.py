"""The WebSocket of one gateway, which handles data as soon as it arrives.

tornado reads each frame in four steps, stops listening after each, and takes a turn of the loop to hand a frame on.
Here all that has arrived is read and passed on immediately. Handshake, pings and closing are tornado's.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.util import _websocket_mask
from tornado.websocket import WebSocketProtocol13

READ_BYTES = 65_536
TOO_BIG_CODE = 1009
MAX_CONTROL_BYTES = 125


def frame_size(data: bytearray) -> tuple[int, int] | None:
    """The sizes of the first frame's head and payload; None if too little of it has arrived to tell."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    mask_bytes = 4 if data[1] & 0x80 else 0
    if length < 126:
        return 2 + mask_bytes, length
    kind, head = ("!H", 4) if length == 126 else ("!Q", 10)
    return (head + mask_bytes, struct.unpack_from(kind, data, 2)[0]) if len(data) >= head else None


class LoopStream:
    """Stands in for the stream of tornado's protocol: hands the bytes of a socket to `take` as they arrive."""

    def __init__(
        self, connection: socket.socket, io_loop: IOLoop, take: Callable[[bytes], None]
    ) -> None:
        self.io_loop = io_loop
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._take = take
        self._unsent = memoryview(b"")
        self._sent: asyncio.Future[None] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(connection, self._read)

    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self.ended.done()

    def close(self) -> None:
        """End the connection."""
        if self.ended.done():
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self.ended.set_result(None)
        if self._sent and not self._sent.done():
            self._sent.set_exception(StreamClosedError())
            # Marks the exception as retrieved: the writer may not be waiting.
            self._sent.exception()

    def write(self, data: bytes) -> asyncio.Future[None]:
        """Send; the returned future is done when this and all earlier data has been sent. Raises StreamClosedError."""
        if self.ended.done():
            raise StreamClosedError
        is_sending = bool(self._unsent)
        if self._sent is None or self._sent.done():
            self._sent = self._loop.create_future()
        self._unsent = memoryview(bytes(self._unsent) + data)
        if is_sending:
            return self._sent
        self._write()
        if self._unsent and not self.ended.done():
            self._loop.add_writer(self._socket, self._write)
        return self._sent

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._unsent and self._sent:
            self._loop.remove_writer(self._socket)
            # The writer may have stopped waiting.
            if not self._sent.done():
                self._sent.set_result(None)

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            self._take(data)
        except UnicodeDecodeError:
            # The reason of a close frame is not UTF-8.
            self.close()
        except Exception:
            # The rest of the data cannot be understood any more.
            self.close()
            raise


class WebSocket(WebSocketProtocol13):
    """tornado's protocol with a reading loop of its own."""

    async def _receive_frame_loop(self) -> None:
        """Take the socket over from tornado's stream; returns when it has ended."""
        theirs: Any = self.stream
        self._received = bytearray(theirs._read_buffer[: theirs._read_buffer_size])
        theirs.io_loop.remove_handler(theirs.socket)
        ours = LoopStream(theirs.socket, theirs.io_loop, self._take)
        # Otherwise tornado's stream would close the socket, too.
        theirs.socket = None
        self.stream: Any = ours
        try:
            self._take(b"")
            # Cancelling this wait must not cancel `ended`.
            await asyncio.shield(ours.ended)
        finally:
            ours.close()
            self._abort()
        self.handler.on_ws_connection_close(self.close_code, self.close_reason)

    def _take(self, data: bytes) -> None:
        """Handle every frame that is complete."""
        received = self._received
        received += data
        while not self.client_terminated and (size := frame_size(received)):
            head, length = size
            so_far = len(self._fragmented_message_buffer or b"")
            if length + so_far > self.params.max_message_size:
                self.close(TOO_BIG_CODE, "message too big")
                self._abort()
                return
            if len(received) < head + length:
                return
            first, is_masked = received[0], received[1] & 0x80
            payload = bytes(received[head : head + length])
            if is_masked:
                payload = _websocket_mask(bytes(received[head - 4 : head]), payload)
            del received[: head + length]
            self._take_frame(first, payload)

    def _take_frame(self, first: int, payload: bytes) -> None:
        is_final, opcode = bool(first & self.FIN), first & self.OPCODE_MASK
        is_begun = self._fragmented_message_buffer is not None
        if opcode & 0x8:
            is_right = is_final and len(payload) <= MAX_CONTROL_BYTES
        else:
            is_right = is_begun == (opcode == 0)
        if first & self.RSV_MASK or not is_right:
            self._abort()
        elif is_final and opcode:
            self._handle_message(opcode, payload)
        else:
            self._take_fragment(is_final, opcode, payload)

    def _take_fragment(self, is_final: bool, opcode: int, payload: bytes) -> None:
        if opcode:
            self._fragmented_message_opcode: Any = opcode
            self._fragmented_message_buffer: Any = bytearray()
        self._fragmented_message_buffer += payload
        if is_final:
            message = bytes(self._fragmented_message_buffer)
            self._fragmented_message_buffer = None
            self._handle_message(self._fragmented_message_opcode, message)
