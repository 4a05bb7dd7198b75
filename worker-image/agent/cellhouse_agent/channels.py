"""The WebSocket `/channels` of docs/internals/worker-protocol.md.

No messages are queued here: the sender reads the replay buffer, and waits for each write. So a gateway that reads
slowly, or has been stopped, costs no memory beyond the limit of the buffer.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from cellhouse_agent.errors import refusal_of
from cellhouse_agent.executor import QueueFull
from cellhouse_agent.log import log_event
from cellhouse_agent.parse_frame import Ack, parse_frame
from cellhouse_agent.requests import MAX_EPOCH, query_number
from cellhouse_agent.services import Services
from cellhouse_agent.wire import MalformedMessage

# WebSocket close codes: for a frame that breaks the protocol, for one that is too large, and for more requests than the
# agent accepts at a time.
POLICY_CODE = 1008
TOO_BIG_CODE = 1009
OVERLOADED_CODE = 1013
# One frame from a gateway holds one piece of code (docs/internals/worker-protocol.md).
MAX_FRAME_BYTES = 16 * 1024 * 1024


class ChannelsHandler(WebSocketHandler):
    """One gateway's connection."""

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
        """Stop sending; what was not acknowledged stays for the next connection."""
        if self._sender:
            self._sender.cancel()
        self.services.gate.detach(self)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log by type only: a message could hold a user's data."""
        log_event("channel_failed", error=type(value).__name__)


def _size_of(message: str | bytes) -> int:
    """The bytes of a frame. tornado has decoded text."""
    return len(message.encode() if isinstance(message, str) else message)
