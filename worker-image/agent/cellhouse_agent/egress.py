"""Joins each connection that code makes to the listener with a stream that the gateway has dialled.

The gateway dials streams in advance, and they are parked here. States of a stream: parked -> taken -> closed. When code
connects, a parked stream is taken: it gets TAKEN, so that the gateway dials another one, and is joined with the
connection of the code (`Link`). If no stream is parked, the connection waits. A connection is closed if it has waited
for too long, or if too many are waiting already. When a gateway takes the worker over with a higher epoch, the streams
of its predecessor are closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.log import log_event

# The first byte of a stream that was taken. All bytes after it are between the code and the gateway.
TAKEN = b"\x01"
# The most streams, parked and taken together. They need twice as many descriptors, half of those that the agent may
# have. The gateway has a limit of its own, which is not higher.
MAX_STREAMS = 256
# Connections wait for milliseconds if code connects faster than the gateway dials, and for seconds while a gateway is
# replaced.
MAX_WAITING = 64
WAIT_SECONDS = 10.0
# How many connections Linux queues while the agent does something else.
BACKLOG = 128
# After this many connections, other work of the agent gets its turn, even if code floods the listener.
MAX_ACCEPTS_AT_ONCE = 16
# How long no connection is accepted when the agent has no descriptor for one.
PAUSE_SECONDS = 0.5


def open_egress(gate: GatewayGate) -> Egress:
    """Listen, for as long as the agent lives. Raises OSError."""
    egress = Egress()
    gate.on_takeover(egress.close_streams)
    return egress


class TooManyStreams(Exception):
    """The gateway has dialled MAX_STREAMS already."""


class Egress:
    """The listener, the parked streams, and the links."""

    def __init__(self) -> None:
        """Listen. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._parked: deque[socket.socket] = deque()
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._links: set[Link] = set()
        self._block = bytearray(BLOCK_BYTES)
        self._pause: asyncio.TimerHandle | None = None
        self._listener = socket.create_server((LISTEN_HOST, LISTEN_PORT), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._go_on_accepting()

    def require_room(self) -> None:
        """Raise TooManyStreams if no further stream can be parked."""
        if len(self._parked) + len(self._links) >= MAX_STREAMS:
            raise TooManyStreams

    def park(self, stream: socket.socket) -> None:
        """Keep a stream of the present gateway until code needs it. Owns the socket from now on."""
        self._parked.append(stream)
        self._loop.add_reader(stream.fileno(), self._drop_parked, stream)
        self._join_waiting()

    def close_streams(self) -> None:
        """Another gateway holds the worker: close its predecessor's streams. Waiting connections get new streams."""
        for stream in [*self._parked]:
            self._drop_parked(stream)
        for link in [*self._links]:
            link.close()

    def close(self) -> None:
        """Stop listening, and close everything."""
        self._loop.remove_reader(self._listener.fileno())
        if self._pause:
            self._pause.cancel()
        self._listener.close()
        for code in [*self._waiting]:
            self._stop_waiting(code).close()
        self.close_streams()

    def _go_on_accepting(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(MAX_ACCEPTS_AT_ONCE):
            try:
                code, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log_event("egress_paused", reason=str(error.strerror))
                self._loop.remove_reader(self._listener.fileno())
                self._pause = self._loop.call_later(PAUSE_SECONDS, self._go_on_accepting)
                return
            self._take_in(code)

    def _take_in(self, code: socket.socket) -> None:
        if len(self._waiting) >= MAX_WAITING:
            code.close()
            return
        code.setblocking(False)
        # Otherwise small pieces from the gateway would wait for acknowledgements, which are delayed by 40 ms.
        code.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting[code] = self._loop.call_later(WAIT_SECONDS, self._give_up, code)
        self._join_waiting()

    def _give_up(self, code: socket.socket) -> None:
        self._stop_waiting(code).close()

    def _stop_waiting(self, code: socket.socket) -> socket.socket:
        self._waiting.pop(code).cancel()
        return code

    def _join_waiting(self) -> None:
        """Join the connection that has waited longest with the stream that was parked first."""
        while self._waiting and self._parked:
            stream = self._unpark(self._parked[0])
            try:
                stream.send(TAKEN)
            except OSError:
                # Its gateway has just died.
                stream.close()
            else:
                self._join(self._stop_waiting(next(iter(self._waiting))), stream)

    def _join(self, code: socket.socket, stream: socket.socket) -> None:
        link = Link(code, stream, self._block, lambda: self._links.discard(link))
        self._links.add(link)

    def _drop_parked(self, stream: socket.socket) -> None:
        """The gateway has hung up, or has sent something too early, or is not the present one any more."""
        self._unpark(stream).close()

    def _unpark(self, stream: socket.socket) -> socket.socket:
        self._parked.remove(stream)
        self._loop.remove_reader(stream.fileno())
        return stream


# Large enough that the cost of a call does not matter; small enough that other work is not delayed, and that hundreds
# of links whose readers do not read need little memory.
BLOCK_BYTES = 65_536


class Link:
    """One connection of code, and the stream of the gateway that it was given: bytes go both ways as they are.

    It owns both sockets. Back-pressure: a socket is not read while bytes from it wait to be sent on the other socket.
    So a link holds at most BLOCK_BYTES in each direction. Each direction ends by itself; an error ends both.
    """

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


# The environment variables that send the usual clients through the egress listener.

# Only code in this worker can reach the listener: the worker has no interface but its own loopback.
LISTEN_HOST, LISTEN_PORT = "127.0.0.1", 3128
PROXY_URL = f"http://{LISTEN_HOST}:{LISTEN_PORT}"
# These hosts are never proxied: on them run only servers that code itself has started.
NEVER_OUT = "localhost,127.0.0.1,::1"


def egress_environment(pip_index_url: str) -> dict[str, str]:
    """The variables that kernels and commands get. `pip_index_url` may be empty.

    pip, git, curl, requests and urllib read the first six.
    """
    return {
        "HTTP_PROXY": PROXY_URL,
        "HTTPS_PROXY": PROXY_URL,
        "http_proxy": PROXY_URL,
        "https_proxy": PROXY_URL,
        "NO_PROXY": NEVER_OUT,
        "no_proxy": NEVER_OUT,
        **(_index(pip_index_url) if pip_index_url else {}),
    }


def _index(url: str) -> dict[str, str]:
    """The variables for this index. pip refuses an index without TLS, unless it is told to trust the host.

    The operator has chosen this index, so its host is trusted.
    """
    parts = urlsplit(url)
    trusted = (
        {"PIP_TRUSTED_HOST": parts.netloc.rpartition("@")[2]} if parts.scheme == "http" else {}
    )
    return {"PIP_INDEX_URL": url, **trusted}
