"""The receiving side of the link to the agent: requests, and the answers to questions of the running code."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cellhouse_kernel.forked_child import is_forked_child
from cellhouse_kernel.outbox import Outbox, pack, pack_message
from cellhouse_kernel.packets import MAX_PACKET_BYTES, PACKET_HEAD, unpack_parts

Message = dict[str, Any]

MAX_RECEIVED_BYTES = PACKET_HEAD.size + MAX_PACKET_BYTES
ANSWER_TYPE = "input_reply"
# Made before any user code runs, which may replace json.loads.
_decode = json.JSONDecoder().decode
# A longer prompt is cut.
MAX_PROMPT_CHARACTERS = 65_536

# Taken before any user code runs, which may replace it.
_poll, _READABLE = select.poll, select.POLLIN


class _Content(NamedTuple):
    """An inbox's content. It is replaced as a whole, so an interrupt leaves either the old content or the new one."""

    # The number of the last packet in it.
    number: int
    # The fragments of a message that is not complete yet.
    fragments: tuple[bytes, ...]
    messages: tuple[Message, ...]


class Inbox:
    """The messages that have come over the link and were not taken out."""

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
        """Like `receive`, but no interrupt loses anything: a packet stays in the link until the inbox has it."""
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


class InputRequests:
    """Asks the agent for a line of the cell's input, and waits for it in the main thread.

    The agent answers each question once, by its number (`CellInput` in the agent). If an interrupt ends the waiting,
    the next question of the cell has the same number. So a line that came too late for the first question answers the
    second.
    """

    def __init__(self, link: socket.socket, inbox: Inbox, outbox: Outbox) -> None:
        self._link = link
        self._inbox = inbox
        self._outbox = outbox
        # Empty if no code runs, or if the running code may not ask.
        self._msg_id = ""
        self._number = 0
        self._is_answered = True

    def begin(self, msg_id: str) -> None:
        """The code of this request begins, and may ask."""
        self._msg_id, self._number, self._is_answered = msg_id, 0, True

    def end(self) -> None:
        """No code may ask."""
        if self._msg_id:
            self._msg_id = ""
            self._inbox.forget_answers()

    @property
    def is_possible(self) -> bool:
        """Whether the caller may ask, and can wait: other threads and forked children would disturb the main thread."""
        is_main = threading.current_thread() is threading.main_thread()
        return bool(self._msg_id) and is_main and not is_forked_child()

    def ask(self, prompt: str, is_password: bool) -> str:
        """The next line, without its end. Raises EOFError after the last one."""
        if self._is_answered:
            self._number, self._is_answered = self._number + 1, False
        question = {
            "prompt": prompt[:MAX_PROMPT_CHARACTERS],
            "password": is_password,
            "number": self._number,
        }
        content = pack(question)
        self._outbox.add_message(pack_message(b"iopub", "input_request", self._msg_id, content))
        readable = _poll()
        readable.register(self._link, _READABLE)
        while not (pieces := self._answer()):
            readable.poll()
            self._inbox.receive_while_code_runs()
        # Until here, an interrupt leaves the answer for the next question.
        self._is_answered = True
        self._inbox.forget_answers()
        line = "".join(piece["text"] for piece in pieces).encode("latin-1")
        if not line:
            raise EOFError
        # As Python reads its standard input.
        return line.removesuffix(b"\n").decode("utf-8", "surrogateescape")

    def _answer(self) -> list[dict[str, Any]]:
        """The pieces of the answer to the last question; an empty list until all have come."""
        answers = self._inbox.answers(self._msg_id)
        pieces = [answer for answer in answers if answer["number"] == self._number]
        return pieces if pieces and pieces[-1]["whole"] else []
