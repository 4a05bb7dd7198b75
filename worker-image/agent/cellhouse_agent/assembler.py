"""Puts a kernel's messages together from its packets (cellhouse_kernel/packets.py), in bounded memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cellhouse_agent.wire import Assembled, MalformedMessage
from cellhouse_kernel.packets import PACKET_HEAD

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
    """Turns packets into messages. It holds at most `max_message_bytes`, plus two packets of each sender."""

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
