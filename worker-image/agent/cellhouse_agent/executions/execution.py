"""One execution: turns the kernel's messages about it into frames, within the limits of its request.

States: sent -> started (the kernel's `busy`) -> done (its `idle`, with the key) -> finished (frames written).

User code can forge any message of its kernel, even `idle` and a reply. So the execution ends only with the `idle` that
has a key, which the kernel hides from the code. Until then, output is kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cellhouse_agent.executions.inputs import InputBuffer
from cellhouse_agent.executions.outputs import (
    OUTPUT_TYPES,
    bounded_reply,
    check_output,
    check_results,
    dropped_bytes,
    is_exit_reply,
    made_reply,
    told_count,
    utf8,
)
from cellhouse_agent.executions.record import Record
from cellhouse_agent.gateway.frames import FrameWriter
from cellhouse_agent.gateway.requests import ExecuteRequest, whole_number
from cellhouse_agent.json_values import JsonObject, MalformedMessage, dump
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.link import KernelMessage

# A kernel that could have run for this long without saying `busy` counts as stuck: it still runs a leftover. A leftover
# is code that only pretended to be over, or a task that never yields. If MAX_BUSY_SHARE of the time limit is shorter,
# it applies instead.
MAX_BUSY_SECONDS = 1.0
MAX_BUSY_SHARE = 0.5
# Long enough that nobody can guess the key.
KEY_BYTES = 16


class Execution(Record):
    """Collects one execution's messages."""

    def __init__(
        self,
        request: ExecuteRequest,
        writer: FrameWriter,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(request, writer)
        self.end_key = secrets.token_hex(KEY_BYTES)
        # Time counts from when the request is sent to a ready kernel. So nobody waits longer than the limit, even if a
        # leftover keeps the kernel busy.
        limit = request.timeout_ms / 1000
        self.busy_seconds = min(MAX_BUSY_SECONDS, MAX_BUSY_SHARE * limit)
        self.deadline = clock() + limit
        self.is_done = False
        self.is_interruptible = False
        self.wants_exit = False
        # The kernel says that threads or tasks of earlier code ran in it, too.
        self.has_other_code = False
        # It says that threads or tasks still run in it, now that this code has ended.
        self.leaves_code = False
        self.reply: JsonObject | None = None
        # None if its code may not ask for input.
        self.cell_input: CellInput | None = None

    def accept(self, channel: str, message: KernelMessage) -> None:
        """Take a message whose parent is this execution."""
        if channel == "shell":
            if message.msg_type == "execute_reply" and self.reply is None:
                is_too_large = message.size_bytes > self._writer.max_message_bytes
                self.wants_exit = is_exit_reply(message.content)
                self.reply = (
                    made_reply("KernelError", "The kernel's reply was too large")
                    if is_too_large
                    else bounded_reply(message.content)
                )
        elif message.msg_type == "status":
            self._accept_status(message.content)
        elif self.is_done:
            # A thread of the code still prints after the end. Its output is ignored.
            return
        elif message.msg_type == "execute_input":
            self.is_interruptible = True
        elif message.msg_type in OUTPUT_TYPES:
            self.start()
            self._accept_output(message)
        elif message.msg_type == "user_expressions" and self.request.options.user_expressions:
            self._accept_results(message, self.request.options.user_expressions)
        elif message.msg_type == "input_request" and self.cell_input:
            self.start()
            self._accept_question(message, self.cell_input)

    def _accept_results(self, message: KernelMessage, asked: dict[str, str]) -> None:
        if message.size_bytes > self._writer.max_message_bytes:
            self.drop("message_too_large", message.size_bytes)
            return
        try:
            body = dump(check_results(message.content, asked))
        except MalformedMessage:
            self.drop("malformed", message.size_bytes)
            return
        self.keep("cellhouse_expressions", body, len(body))

    def _accept_question(self, message: KernelMessage, cell_input: CellInput) -> None:
        """Answer a well-formed question, even one that is not reported to the gateway."""
        try:
            prompt, is_password = cell_input.ask(message.content)
        except MalformedMessage:
            self.drop("malformed", message.size_bytes)
            return
        self.keep_question(prompt, is_password)

    def _accept_status(self, content: JsonObject) -> None:
        state = content.get("execution_state")
        if state == "busy":
            self.start(told_count(content))
        elif state == "idle" and content.get("end_key") == self.end_key:
            self.is_done = True
            self.has_other_code = content.get("has_other_code") is True
            self.leaves_code = content.get("leaves_code") is True

    def _accept_output(self, message: KernelMessage) -> None:
        if message.size_bytes > self._writer.max_message_bytes:
            self.drop("message_too_large", message.size_bytes)
            return
        try:
            content = check_output(message.msg_type, message.content)
            if message.msg_type == "stream":
                self.keep_stream(str(content["name"]), utf8(str(content["text"])))
            else:
                body = dump(content)
                self.keep(message.msg_type, body, len(body))
                self._count_cut(dropped_bytes(message.content))
        except MalformedMessage:
            self.drop("malformed", message.size_bytes)

    def _count_cut(self, size: int) -> None:
        """Count the bytes that the kernel cut from an output because no message could have held them."""
        if size:
            self.drop("message_too_large", size)


MAX_NUMBER = 2**53


class CellInput:
    """Answers the questions of one cell (`InputRequests` in the kernel), each with a line of its input.

    States of a question: asked -> answered. The kernel asks one question at a time, and counts them. If an interrupt
    ends the wait, the next question gets the same number. If a line was already sent for that number, it answers the
    next question.
    """

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
            self._buffer.watch(self._answer_next)
        return prompt, is_password

    def _answer_next(self) -> None:
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
            self._answer_next()
