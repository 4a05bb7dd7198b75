"""The agent's end of the link to one kernel: sends requests and receives messages (cellhouse_kernel/packets.py)."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cellhouse_agent.json_values import JsonObject, MalformedMessage, dump_ascii, load_object
from cellhouse_kernel.packets import (
    MAX_PACKET_BYTES,
    MAX_TOGETHER,
    PACKET_HEAD,
    MalformedParts,
    pack_parts,
    packets,
    unpack_parts,
)

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
        """Read the packets that are left after the kernel and all its children have ended."""
        while not self._has_ended and not self._is_closed and self._read_packet():
            pass

    def close(self) -> None:
        """Close the socket; no message is passed on afterwards."""
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


# Sending processes that are tracked at the same time: a kernel and its children that print.
MAX_SENDERS = 64


@dataclass
class _Sender:
    """What the assembler knows about one sending process."""

    # Its last packet, to recognise a repetition.
    last: bytes = b""
    fragments: list[bytes] | None = None
    size_bytes: int = 0
    is_cut: bool = False


class Assembler:
    """Puts a kernel's messages together from its packets (cellhouse_kernel/packets.py), in bounded memory.

    It holds at most `max_message_bytes`, plus two packets of each sender.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._senders: dict[int, _Sender] = {}
        # Bytes held of incomplete messages.
        self.held_bytes = 0

    def take(self, packet: bytes) -> list[Assembled]:
        """Return the messages that are given up, then the one that this packet completes. Raises MalformedMessage.

        Of a message that is given up, only the first fragment is returned.
        """
        try:
            pid, _, is_first, has_more = PACKET_HEAD.unpack_from(packet)
        except struct.error as error:
            raise MalformedMessage("short packet") from error
        sender = self._senders.pop(pid, None)
        done = [] if sender else self._make_room()
        # Moved to the end: the sender that was heard least recently is forgotten first.
        self._senders[pid] = sender = sender or _Sender()
        if packet == sender.last:
            # A repetition: its sender was interrupted before it could note that it had sent this packet.
            return done
        sender.last = packet
        fragment = packet[PACKET_HEAD.size :]
        if is_first:
            done += self._torn(sender)
        elif sender.fragments is None:
            raise MalformedMessage("no beginning")
        if is_first and not has_more:
            is_whole = len(fragment) <= self._max_message_bytes
            return [*done, Assembled(fragment, len(fragment), is_whole)]
        self._add_fragment(sender, fragment)
        return done if has_more else [*done, self._finish(sender)]

    def _make_room(self) -> list[Assembled]:
        """If the table is full, forget one sender, preferably one without an incomplete message."""
        if len(self._senders) < MAX_SENDERS:
            return []
        pids = iter(self._senders)
        oldest = next(pids)
        free = (pid for pid in (oldest, *pids) if self._senders[pid].fragments is None)
        return self._torn(self._senders.pop(next(free, oldest)))

    def _torn(self, sender: _Sender) -> list[Assembled]:
        """Give up an incomplete message, if there is one; returns its first packet, whose head names the execution."""
        if sender.fragments is None:
            return []
        torn = Assembled(sender.fragments[0], sender.size_bytes, False)
        self._forget(sender)
        return [torn]

    def _add_fragment(self, sender: _Sender, fragment: bytes) -> None:
        sender.size_bytes += len(fragment)
        if sender.fragments is None:
            sender.fragments = []
        elif sender.is_cut or self.held_bytes + len(fragment) > self._max_message_bytes:
            # Keep only the first packet, whose head names the execution, and still count the size.
            sender.is_cut = True
            self.held_bytes -= sum(map(len, sender.fragments[1:]))
            del sender.fragments[1:]
            return
        sender.fragments.append(fragment)
        self.held_bytes += len(fragment)

    def _finish(self, sender: _Sender) -> Assembled:
        done = Assembled(b"".join(sender.fragments or ()), sender.size_bytes, not sender.is_cut)
        self._forget(sender)
        return done

    def _forget(self, sender: _Sender) -> None:
        self.held_bytes -= sum(map(len, sender.fragments or ()))
        sender.fragments = None
        sender.size_bytes = 0
        sender.is_cut = False


# Messages to and from a kernel, which may be hostile: their parts, and the JSON inside.

# Channel, type, id of the parent.
HEAD_PARTS = 3
# Types whose content is not read: only the arrival of such a message counts.
UNREAD_TYPES = frozenset({"execute_input"})
# The longest type and parent id that are accepted; ours are far shorter.
MAX_NAME_BYTES = 1_024


@dataclass(frozen=True)
class Assembled:
    """The bytes of messages. If these are too large, `data` is only the first packet, but `size_bytes` counts all."""

    data: bytes
    size_bytes: int
    is_whole: bool


@dataclass(frozen=True)
class KernelMessage:
    """A message from the kernel. Its content is not checked yet, and empty if it was not JSON."""

    msg_type: str
    parent_msg_id: str
    content: JsonObject
    size_bytes: int


def pack_request(
    msg_id: str, msg_type: str, content: JsonObject, metadata: JsonObject | None = None
) -> bytes:
    """A request to the kernel. ASCII only, so that lone surrogates in code get through."""
    identifier = msg_id.encode("utf-8", "surrogatepass")
    more, body = (dump_ascii(each or {}) for each in (metadata, content))
    return pack_parts((b"shell", msg_type.encode(), identifier, more, body))


def split_messages(assembled: Assembled) -> Iterator[tuple[list[memoryview], int]]:
    """The parts of each message, and its size. If the messages are too large, only the head of the first one.

    The parts are views: each copy of a large message takes time. Raises MalformedMessage at bytes that are no message,
    and when there are too many messages.
    """
    data = memoryview(assembled.data)
    try:
        if not assembled.is_whole:
            yield unpack_parts(data, count=HEAD_PARTS)[0], assembled.size_bytes
            return
        start = count = 0
        while start < len(data):
            count += 1
            if count > MAX_TOGETHER:
                raise MalformedMessage("too many together")
            parts, end = unpack_parts(data, start)
            yield parts, end - start
            start = end
    except MalformedParts as error:
        raise MalformedMessage("malformed parts") from error


def read_message(parts: list[memoryview], size_bytes: int) -> tuple[str, KernelMessage]:
    """The channel and the message; raises MalformedMessage.

    Content that was too large (then there is only the head) or is malformed comes out empty, so that its execution
    still learns of the message.
    """
    channel, msg_type, parent_id, *rest = parts
    if channel not in (b"shell", b"iopub") or max(len(msg_type), len(parent_id)) > MAX_NAME_BYTES:
        raise MalformedMessage("malformed head")
    try:
        name, parent = str(msg_type, "utf-8"), str(parent_id, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise MalformedMessage("malformed head") from error
    try:
        content = load_object(rest[1]) if rest and name not in UNREAD_TYPES else {}
    except MalformedMessage:
        content = {}
    return str(channel, "utf-8"), KernelMessage(name, parent, content, size_bytes)
