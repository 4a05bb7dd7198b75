"""Puts a kernel's messages together from its packets (cellhouse_kernel/packets.py), in bounded memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cellhouse_agent.wire import Assembled, MalformedMessage
from cellhouse_kernel.packets import PACKET_HEAD

# Processes whose last number is remembered, and which may be amid a message: a kernel and the children that print.
MAX_SENDERS = 64


@dataclass
class _Sender:
    """What is known of one process."""

    number: int = 0
    fragments: list[bytes] | None = None
    size_bytes: int = 0
    is_cut: bool = False


class Assembler:
    """Takes packets, gives messages. It never holds more than `max_message_bytes` and MAX_SENDERS packets."""

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._senders: dict[int, _Sender] = {}
        # Of messages that are not complete.
        self.held_bytes = 0

    def take(self, packet: bytes) -> Assembled | None:
        """The message that this packet completes, if it does. Raises MalformedMessage."""
        try:
            pid, number, has_more = PACKET_HEAD.unpack_from(packet)
        except struct.error as error:
            raise MalformedMessage("short packet") from error
        # The least recently heard is the first to be forgotten.
        sender = self._senders.pop(pid, None) or self._new_sender()
        self._senders[pid] = sender
        if number <= sender.number:
            # Sent twice, since its sender was interrupted before it could note that it was sent.
            return None
        sender.number = number
        fragment = packet[PACKET_HEAD.size :]
        if sender.fragments is None and not has_more:
            return Assembled(fragment, len(fragment), len(fragment) <= self._max_message_bytes)
        self._add_fragment(sender, fragment)
        return None if has_more else self._finish(sender)

    def _new_sender(self) -> _Sender:
        if len(self._senders) == MAX_SENDERS:
            oldest = next(iter(self._senders))
            self._forget(self._senders.pop(oldest))
        return _Sender()

    def _add_fragment(self, sender: _Sender, fragment: bytes) -> None:
        sender.size_bytes += len(fragment)
        if sender.fragments is None:
            sender.fragments = []
        elif sender.is_cut or self.held_bytes + len(fragment) > self._max_message_bytes:
            # Only its head is kept, which says whose it is, and its size goes on being counted.
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
