"""The Unix socket on which gateways reach the agent: all routes, the channel (a WebSocket), and streams for egress."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_unix_socket
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from cellhouse_agent.egress import Egress
from cellhouse_agent.executions.executor import QueueFull
from cellhouse_agent.files.handlers import file_routes
from cellhouse_agent.files.helper import FilesAccess
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.gateway.http_api import (
    ApiHandler,
    UnknownHandler,
    detached_socket,
    operation_routes,
    refusal_of,
)
from cellhouse_agent.gateway.requests import MAX_EPOCH, Ack, parse_frame, query_number
from cellhouse_agent.json_values import MalformedMessage
from cellhouse_agent.log import log_event
from cellhouse_agent.services import Services

# One frame from a gateway holds one piece of code (docs/internals/worker-protocol.md).
MAX_FRAME_BYTES = 16 * 1024 * 1024
# More than the protocol allows: a frame that is somewhat too large is read, and the connection is closed properly, with
# a code. Beyond this, tornado sends the code and cuts the connection at once, so the gateway may not get the code.
MAX_READ_FRAME_BYTES = 4 * MAX_FRAME_BYTES
# The largest body is that of POST /variables: 128 KiB of text, each byte of which may take six characters.
MAX_HTTP_BODY_BYTES = 1_048_576
# A gateway that is suspended (SIGSTOP) keeps its connection open but answers no ping: after the timeout it counts as
# gone. A gateway that only stores output slowly has enough time to answer.
PING_SECONDS = 30.0
PING_TIMEOUT_SECONDS = 120.0
# The gateway runs as another user. The folders above the socket, on the host and in the container, keep others out.
SOCKET_MODE = 0o666


def serve(path: str, services: Services) -> Callable[[], None]:
    """Listen on `path`. Returns a function that stops listening and removes the socket.

    Raises OSError when the path cannot be bound.
    """
    application = Application(
        [
            ("/channels", ChannelsHandler, {"services": services}),
            *operation_routes(services),
            *file_routes(services.files, FilesAccess(services.boot_id)),
            *egress_routes(services),
        ],
        default_handler_class=UnknownHandler,
        websocket_max_message_size=MAX_READ_FRAME_BYTES,
        websocket_ping_interval=PING_SECONDS,
        websocket_ping_timeout=PING_TIMEOUT_SECONDS,
        log_function=lambda _handler: None,
    )
    server = HTTPServer(application, max_body_size=MAX_HTTP_BODY_BYTES)
    server.add_socket(bind_unix_socket(path, mode=SOCKET_MODE))

    def stop() -> None:
        server.stop()
        if os.path.exists(path):
            os.unlink(path)

    return stop


# WebSocket close codes: for a frame that breaks the protocol, for one that is too large, and for more requests than the
# agent accepts at a time.
POLICY_CODE = 1008
TOO_BIG_CODE = 1009
OVERLOADED_CODE = 1013


class ChannelsHandler(WebSocketHandler):
    """The WebSocket `/channels` of docs/internals/worker-protocol.md: one gateway's connection.

    No messages are queued here: the sender reads the replay buffer, and waits for each write. So a gateway that reads
    slowly, or is suspended, costs no memory beyond the limit of the buffer.
    """

    services: Services

    def initialize(self, services: Services) -> None:
        """Take the agent's parts."""
        self.services = services
        self._after = 0
        self._sender: asyncio.Task[None] | None = None

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Check the epoch before the upgrade."""
        try:
            self._after = self._number("after")
            self.services.gate.admit(self._number("epoch"))
        except Exception as error:
            if not (refusal := refusal_of(error)):
                raise
            status, body = refusal
            self.set_status(status)
            self.finish(body)
        else:
            await super().get(*args, **kwargs)

    def _number(self, name: str) -> int:
        return query_number(self.get_query_argument(name, "") or "", name, MAX_EPOCH)

    def open(self, *args: str, **kwargs: str) -> None:
        """Replace any earlier connection, and send every frame that the gateway has not stored."""
        services = self.services
        services.gate.attach(self)
        services.executor.ack(self._after)
        self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        services = self.services
        buffer = services.buffer
        hello = {
            "boot_id": services.boot_id,
            "first_seq": buffer.first_seq,
            "last_seq": buffer.last_seq,
            "kernel_generation": services.executor.generation,
        }
        seq = buffer.first_seq
        try:
            await self.write_message(json.dumps({"hello": hello}))
            while True:
                await buffer.wait_for(seq)
                # Frames that were acknowledged in the meantime are gone and need not be sent.
                seq = max(seq, buffer.first_seq)
                if (frame := buffer.get(seq)) is not None:
                    await self.write_message(frame)
                    seq += 1
        except (WebSocketClosedError, StreamClosedError):
            return

    def on_message(self, message: str | bytes) -> None:
        """Handle a frame, unless a newer connection has replaced this one."""
        if not self.services.gate.is_current(self):
            return
        if _size_of(message) > MAX_FRAME_BYTES:
            self.close(TOO_BIG_CODE, "frame too big")
            return
        try:
            frame = parse_frame(message)
            if isinstance(frame, Ack):
                self.services.executor.ack(frame.seq)
            elif frame is not None:
                self.services.executor.submit(frame)
        except MalformedMessage as error:
            log_event("malformed_frame", reason=str(error))
            self.close(POLICY_CODE, str(error))
        except QueueFull:
            self.close(OVERLOADED_CODE, "too many requests")

    def on_close(self) -> None:
        """Stop sending; frames that were not acknowledged stay for the next connection."""
        if self._sender:
            self._sender.cancel()
        self.services.gate.detach(self)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log by type only: a message could hold a user's data."""
        log_event("channel_failed", error=type(value).__name__)


def _size_of(message: str | bytes) -> int:
    """The bytes of a frame. tornado has decoded text."""
    return len(message.encode() if isinstance(message, str) else message)


EGRESS_PROTOCOL = "cellhouse-egress"
EGRESS_ACCEPTED = (
    f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {EGRESS_PROTOCOL}\r\n\r\n"
).encode("ascii")


class EgressHandler(ApiHandler):
    """`GET /egress`: a gateway dials a stream, which is parked until code needs a connection (egress.py)."""

    def initialize(self, egress: Egress, gate: GatewayGate) -> None:
        """Take the agent's parts."""
        self.egress = egress
        self.gate = gate

    def get(self) -> None:
        """Park the connection, or refuse before the upgrade."""
        epoch = self.get_query_argument("epoch", "") or ""
        self.gate.admit(query_number(epoch, "epoch", MAX_EPOCH))
        if self.request.headers.get("Upgrade", "").lower() != EGRESS_PROTOCOL:
            raise MalformedMessage(f"Upgrade must be {EGRESS_PROTOCOL}")
        self.egress.require_room()
        stream = detached_socket(self)
        try:
            # Nothing was sent over this socket yet, so its buffer has room.
            stream.send(EGRESS_ACCEPTED)
        except OSError:
            stream.close()
        else:
            self.egress.park(stream)


def egress_routes(services: Services) -> list[tuple[str, type[EgressHandler], dict[str, Any]]]:
    """The route of the handler. Without egress there is no route, so the path is unknown."""
    if not services.egress:
        return []
    return [("/egress", EgressHandler, {"egress": services.egress, "gate": services.gate})]
