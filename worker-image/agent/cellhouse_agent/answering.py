"""Asks the idle kernel of a lane a question, and waits for the answer for a short time.

Answering can run user code: a `__dir__`, a property, an input transformer. But a question is not an execution: it has
no frames, and its output is dropped. An execution that arrives meanwhile waits until the kernel is free again, or until
the time of the question is over.

States of a question: asked -> given up (its time is over: the kernel got SIGINT) -> over (the kernel is free again).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from cellhouse_agent.kernel import Kernel
from cellhouse_agent.questions import Question
from cellhouse_agent.wire import JsonObject, KernelMessage, MalformedMessage

# Less than the two seconds after which a gateway goes on without an answer.
ANSWER_SECONDS = 1.8
# Long enough that nobody can guess it.
KEY_BYTES = 16


class _Asked:
    """One question that was sent to a kernel."""

    def __init__(self, question: Question, kernel: Kernel) -> None:
        self.question = question
        self._kernel, self._process = kernel, kernel.process
        self.msg_id, self.end_key = secrets.token_hex(KEY_BYTES), secrets.token_hex(KEY_BYTES)
        self.reply: JsonObject | None = None
        self.answer: asyncio.Future[JsonObject | None] = asyncio.get_running_loop().create_future()

    @property
    def is_of_present_kernel(self) -> bool:
        """Whether the kernel was not replaced meanwhile."""
        return self._kernel.process is self._process

    def end(self) -> None:
        """No more messages will arrive: give the answer if the reply has arrived already."""
        if self.answer.done():
            return
        try:
            self.answer.set_result(self.reply and self.question.read(self.reply))
        except MalformedMessage:
            self.answer.set_result(None)


class Answering:
    """The question that a lane's kernel is busy with, if any."""

    def __init__(self, over: Callable[[bool], None], max_message_bytes: int) -> None:
        """`over` is called when the kernel may run code again: with True if threads or tasks may still run in it."""
        self._over = over
        self._max_message_bytes = max_message_bytes
        self._asked: _Asked | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether the kernel is about to answer. No code should be sent to it."""
        return self._asked is not None and not self._asked.answer.done()

    @property
    def is_open(self) -> bool:
        """Whether the kernel has not said that it is free again."""
        return self._asked is not None and self._asked.is_of_present_kernel

    async def ask(self, question: Question, kernel: Kernel) -> JsonObject | None:
        """Ask a kernel that is free; None if it gives no usable answer in time."""
        asked = self._asked = _Asked(question, kernel)
        kernel.send(asked.msg_id, question.msg_type, question.content, {"end_key": asked.end_key})
        await asyncio.wait([asked.answer], timeout=ANSWER_SECONDS)
        if not asked.answer.done():
            self._give_up(asked, kernel)
        return asked.answer.result()

    def _give_up(self, asked: _Asked, kernel: Kernel) -> None:
        asked.answer.set_result(None)
        if asked.is_of_present_kernel:
            kernel.interrupt()
        self._over(True)

    def hear(self, channel: str, message: KernelMessage) -> bool:
        """Take a message of the kernel; false if it is not about the question."""
        asked = self._asked
        if not asked or message.parent_msg_id != asked.msg_id:
            return False
        content = message.content
        if channel == "shell":
            is_right = message.msg_type == asked.question.reply_type
            if is_right and not asked.reply and message.size_bytes <= self._max_message_bytes:
                asked.reply = content if content.get("status") != "error" else None
        elif message.msg_type == "status" and content.get("end_key") == asked.end_key:
            self._asked = None
            asked.end()
            self._over(content.get("leaves_code") is True)
        return True

    def drop(self) -> None:
        """Drop the question: the kernel has ended, or is about to end."""
        if self._asked:
            self._asked.end()
            self._asked = None
