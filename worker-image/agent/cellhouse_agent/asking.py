"""Answers the questions of one cell (cellhouse_kernel/inbox.py), each with a line of its input.

States of a question: asked -> answered. The kernel asks one question after another, and gives each a higher number. If
an interrupt ends the waiting, the next question has the same number with the next prompt. If that number was answered
already, the kernel has the line, and no other is sent.
"""

from __future__ import annotations

from cellhouse_agent.input_buffer import InputBuffer
from cellhouse_agent.kernel import Kernel
from cellhouse_agent.requests import whole_number
from cellhouse_agent.wire import JsonObject, MalformedMessage

MAX_NUMBER = 2**53


class Asking:
    """Passes lines of the input to the kernel that runs the cell."""

    def __init__(self, buffer: InputBuffer, kernel: Kernel, msg_id: str) -> None:
        self._buffer = buffer
        self._kernel = kernel
        self._msg_id = msg_id
        self._asked = 0
        self._answered = 0

    def ask(self, content: JsonObject) -> tuple[str, bool]:
        """Answer a question as soon as there is a line.

        Returns its prompt, and whether it asks for a password. Raises MalformedMessage.
        """
        prompt, is_password = content.get("prompt"), content.get("password")
        number = whole_number(content.get("number"), "number", 1, MAX_NUMBER)
        if not isinstance(prompt, str) or not isinstance(is_password, bool):
            raise MalformedMessage("a question has a prompt, and whether it asks for a password")
        if number > self._answered:
            self._asked = number
            self._buffer.watch(self._look)
        return prompt, is_password

    def _look(self) -> None:
        # Code may ask without reading the answers, and they must not pile up here.
        self._kernel.when_sent(self._answer)

    def _answer(self) -> None:
        if self._asked <= self._answered or not (line := self._buffer.take_line()):
            return
        data, is_whole = line
        if is_whole:
            self._answered = self._asked
        # Bytes as text, since the content is JSON.
        text = data.decode("latin-1")
        self._kernel.answer(self._msg_id, {"number": self._asked, "text": text, "whole": is_whole})
        if not is_whole:
            self._look()
