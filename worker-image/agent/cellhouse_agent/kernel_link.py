"""The agent's end of the link to one kernel: sends requests and receives messages (cellhouse_kernel/packets.py)."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable

from cellhouse_agent.assembler import Assembler
from cellhouse_agent.wire import (
    Assembled,
    JsonObject,
    KernelMessage,
    MalformedMessage,
    pack_request,
    read_message,
    split_messages,
)
from cellhouse_kernel.packets import MAX_PACKET_BYTES, PACKET_HEAD, packets

# How long messages are handled before other work of the agent gets its turn. Otherwise, code that prints without end
# could delay the interrupt at its time limit.
TURN_SECONDS = 0.005
# The requested size; Linux grants at most twice net.core.wmem_max. If the buffer is full, the Python
# kernel waits; no message is dropped.
SEND_BUFFER_BYTES = 4 * 1024 * 1024


def new_link() -> tuple[socket.socket, socket.socket]:
    """The agent's and the kernel's end of a link. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return ours, theirs


class KernelLink:
    """A connection to one kernel. `on_message` gets each message, with its channel, in the order sent.

    `on_end` is called once, when all processes of the kernel have closed their end.
    """

    def __init__(
        self,
        link: socket.socket,
        max_message_bytes: int,
        on_message: Callable[[str, KernelMessage], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._assembler = Assembler(max_message_bytes)
        self._on_message = on_message
        self._on_end = on_end
        self._is_closed = False
        self._has_ended = False
        self._probe_id = ""
        self._answered = asyncio.Event()
        self._unsent: deque[bytes] = deque()
        self._sent_number = 0
        self._when_sent: Callable[[], None] | None = None
        self.malformed_messages = 0
        # The kernel's answer to the last probe.
        self.kernel_info: JsonObject = {}
        self._loop.add_reader(link, self._read)

    async def probe(self) -> None:
        """Return when the kernel answers, which means that it has handled all earlier requests. May wait for ever."""
        self._probe_id = uuid.uuid4().hex
        self._answered.clear()
        self.send(self._probe_id, "kernel_info_request", {})
        await self._answered.wait()

    def send(
        self, msg_id: str, msg_type: str, content: JsonObject, metadata: JsonObject | None = None
    ) -> None:
        """Send a request; it waits in the socket, or here, until the kernel takes it."""
        data = pack_request(msg_id, msg_type, content, metadata)
        for number, packet in packets(data, os.getpid(), self._sent_number + 1):
            self._unsent.append(packet)
            self._sent_number = number
        self._write()

    def when_sent(self, then: Callable[[], None]) -> None:
        """Call `then` when no packet waits here any more, perhaps at once. A later `then` replaces it."""
        self._when_sent = then
        if not self._unsent:
            self._tell_sent()

    def _tell_sent(self) -> None:
        then, self._when_sent = self._when_sent, None
        if then:
            then()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._link.send(self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._link, self._write)
            return
        except OSError:
            # The kernel is gone; `_read_packet` reports that.
            self._unsent.clear()
        self._loop.remove_writer(self._link)
        self._tell_sent()

    def drain_rest(self) -> None:
        """Read what is left after the kernel and all its children have ended."""
        while not self._has_ended and not self._is_closed and self._read_packet():
            pass

    def close(self) -> None:
        """Close the socket; no message is handed on afterwards."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._link)
        self._loop.remove_writer(self._link)
        self._link.close()

    def _read(self) -> None:
        until = self._loop.time() + TURN_SECONDS
        while not self._is_closed and not self._has_ended and self._read_packet():
            if self._loop.time() >= until:
                return

    def _read_packet(self) -> bool:
        """Take one packet; false if there was none."""
        try:
            packet = self._link.recv(PACKET_HEAD.size + MAX_PACKET_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            packet = b""
        if not packet:
            self._has_ended = True
            self._loop.remove_reader(self._link)
            self._on_end()
            return False
        try:
            for assembled in self._assembler.take(packet):
                self._split(assembled)
        except MalformedMessage:
            self.malformed_messages += 1
        return True

    def _split(self, assembled: Assembled) -> None:
        try:
            for parts, size_bytes in split_messages(assembled):
                self._hand_on(parts, size_bytes)
        except MalformedMessage:
            self.malformed_messages += 1

    def _hand_on(self, parts: list[memoryview], size_bytes: int) -> None:
        try:
            channel, message = read_message(parts, size_bytes)
        except MalformedMessage:
            self.malformed_messages += 1
            return
        if message.parent_msg_id == self._probe_id:
            if message.msg_type == "kernel_info_reply":
                self.kernel_info = message.content
            # `idle` is the last message of a request.
            if message.content.get("execution_state") == "idle":
                self._answered.set()
            return
        self._on_message(channel, message)
