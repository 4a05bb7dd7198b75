"""Asks the agent for a line of the cell's input, and waits for it in the main thread.

The agent answers each question once, by its number (cellhouse_agent/asking.py). If an interrupt ends the waiting, the
next question of the cell has the same number. So a line that came too late for the first is the answer to the second.
"""

from __future__ import annotations

import select
import socket
import threading
from typing import Any

from cellhouse_kernel.forked_child import is_forked_child
from cellhouse_kernel.inbox import Inbox
from cellhouse_kernel.outbox import Outbox, pack_message
from cellhouse_kernel.packing import pack

# A longer prompt is cut.
MAX_PROMPT_CHARACTERS = 65_536

# Taken before any user code runs, which may replace it.
_poll, _READABLE = select.poll, select.POLLIN


class Asking:
    """The questions of the running cell."""

    def __init__(self, link: socket.socket, inbox: Inbox, outbox: Outbox) -> None:
        self._link = link
        self._inbox = inbox
        self._outbox = outbox
        # Empty: no code runs, or it may not ask.
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
