"""One connection of code, and the stream of the gateway that it was given: bytes go both ways as they are.

Back-pressure is the sockets' own: nothing is read from one side while the other has not taken what came before. So a
link holds at most BLOCK_BYTES in each direction. Each direction ends by itself; a side that breaks ends both.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

# Large enough that the cost of a call does not matter; small enough that other work is not delayed, and that hundreds
# of links whose readers do not read need little memory.
BLOCK_BYTES = 65_536


class Link:
    """Owns both sockets."""

    def __init__(
        self,
        code: socket.socket,
        gateway: socket.socket,
        block: bytearray,
        on_end: Callable[[], None],
    ) -> None:
        """Begin to copy. `block` may be shared by all links: nothing stays in it. `on_end` is called once."""
        self._sockets = (code, gateway)
        self._on_end = on_end
        self._directions = (
            _Direction(code, gateway, block, self),
            _Direction(gateway, code, block, self),
        )
        for direction in self._directions:
            direction.start()

    def one_is_over(self) -> None:
        """End the link when neither direction has anything more to copy."""
        if all(direction.is_over for direction in self._directions):
            self.close()

    def close(self) -> None:
        """End both directions at once."""
        for direction in self._directions:
            direction.stop()
        was_open = self._sockets[0].fileno() >= 0
        for side in self._sockets:
            side.close()
        if was_open:
            self._on_end()


class _Direction:
    """States: reading <-> writing (what is left of a block) -> over."""

    def __init__(
        self, source: socket.socket, target: socket.socket, block: bytearray, link: Link
    ) -> None:
        self._source, self._target = source, target
        self._block = memoryview(block)
        self._link = link
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self.is_over = False

    def start(self) -> None:
        self._loop.add_reader(self._source.fileno(), self._read)

    def stop(self) -> None:
        """Stop copying in this direction. The sockets must still be open, unless `stop` was called before."""
        if self._source.fileno() >= 0 and not self.is_over:
            self._loop.remove_reader(self._source.fileno())
            self._loop.remove_writer(self._target.fileno())
        self.is_over = True

    def _read(self) -> None:
        try:
            count = self._source.recv_into(self._block)
            if count == 0:
                self.stop()
                self._target.shutdown(socket.SHUT_WR)
                self._link.one_is_over()
            else:
                self._send(self._block[:count])
        except BlockingIOError:
            return
        except OSError:
            self._link.close()

    def _send(self, data: memoryview) -> None:
        try:
            sent = self._target.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._rest = bytes(data[sent:])
            self._loop.remove_reader(self._source.fileno())
            self._loop.add_writer(self._target.fileno(), self._send_rest)

    def _send_rest(self) -> None:
        try:
            self._rest = self._rest[self._target.send(self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._link.close()
            return
        if not self._rest:
            self._loop.remove_writer(self._target.fileno())
            self.start()
