"""The receiving side of the link to the agent: requests, and the answers to questions of the running code."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cellhouse_kernel.packets import MAX_PACKET_BYTES, PACKET_HEAD, unpack_parts

Message = dict[str, Any]

MAX_RECEIVED_BYTES = PACKET_HEAD.size + MAX_PACKET_BYTES
ANSWER_TYPE = "input_reply"
# Made before any user code runs, which may replace json.loads.
_decode = json.JSONDecoder().decode


class _Content(NamedTuple):
    """What an inbox holds. It is replaced as a whole, so an interrupt leaves either the old content or the new one."""

    # The number of the last packet in it.
    number: int
    # The fragments of a message that is not complete yet.
    fragments: tuple[bytes, ...]
    messages: tuple[Message, ...]


class Inbox:
    """What has come over the link and was not taken out."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._content = _Content(0, (), ())

    @property
    def has_messages(self) -> bool:
        """Whether there is a message."""
        return bool(self._content.messages)

    def receive(self) -> None:
        """Take a packet from the link."""
        self._add(self._link.recv(MAX_RECEIVED_BYTES, socket.MSG_DONTWAIT))

    def receive_while_code_runs(self) -> None:
        """Like `receive`, but no interrupt loses anything: a packet stays in the link until it is here."""
        self._add(self._link.recv(MAX_RECEIVED_BYTES, socket.MSG_DONTWAIT | socket.MSG_PEEK))
        self._link.recv(1, socket.MSG_DONTWAIT)

    def _add(self, packet: bytes) -> None:
        """Add a packet, once; the last packet of a message completes it."""
        if not packet:
            # The agent has ended, so the worker ends, too.
            os._exit(0)
        _, number, _, has_more = PACKET_HEAD.unpack_from(packet)
        last, fragments, messages = self._content
        if number == last:
            return
        fragments = (*fragments, packet[PACKET_HEAD.size :])
        if not has_more:
            fragments, messages = (), (*messages, _read(b"".join(fragments)))
        self._content = _Content(number, fragments, messages)

    def take_first(self) -> Message:
        """Take out the oldest message."""
        first, *rest = self._content.messages
        self._content = self._content._replace(messages=tuple(rest))
        return first

    def answers(self, msg_id: str) -> list[dict[str, Any]]:
        """The contents of the answers to this request. They stay, so an interrupt loses none."""
        messages = self._content.messages
        return [each["content"] for each in messages if _answers(each) and each["msg_id"] == msg_id]

    def forget_answers(self) -> None:
        """Take out all answers."""
        content = self._content
        rest = tuple(each for each in content.messages if not _answers(each))
        self._content = content._replace(messages=rest)


def _answers(message: Message) -> bool:
    return bool(message["msg_type"] == ANSWER_TYPE)


def _read(data: bytes) -> Message:
    """A message in ipykernel's form. It is well-formed, since the agent made it."""
    channel, msg_type, msg_id, metadata, content, *buffers = unpack_parts(data)[0]
    header = {
        "msg_id": msg_id.decode("utf-8", "surrogatepass"),
        "msg_type": msg_type.decode(),
        "username": "cellhouse",
        "session": "",
        "date": datetime.now(UTC),
        "version": "5.3",
    }
    return {
        "header": header,
        "msg_id": header["msg_id"],
        "msg_type": header["msg_type"],
        "parent_header": {},
        "metadata": _decode(metadata.decode()),
        "content": _decode(content.decode()),
        "buffers": [memoryview(buffer) for buffer in buffers],
    }
