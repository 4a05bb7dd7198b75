"""The questions that a gateway may ask an idle kernel: completion, inspection, whether code is complete, and history.

Each kind has its request and its answer in Jupyter's form. User code can answer in its kernel's name, so only the
parts of an answer that have the right form and size are passed on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cellhouse_agent.executions.outputs import cut_utf8, utf8
from cellhouse_agent.gateway.requests import whole_number
from cellhouse_agent.json_values import Json, JsonObject, MalformedMessage
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.link import KernelMessage

# The longest code that is asked about: far more than a cell of a notebook has.
MAX_CODE_CHARACTERS = 262_144
# The limits of an answer: the bytes of all its texts, and the number of its texts. People read only a few.
MAX_ANSWER_BYTES = 131_072
MAX_ANSWER_ITEMS = 1_000
# The longest text of one kind in an inspection.
MAX_INSPECTION_BYTES = 65_536
INSPECTION_TYPES = ("text/plain", "text/html")
MAX_INDENT_CHARACTERS = 256
MAX_PATTERN_CHARACTERS = 1_000
MAX_COUNT = 2**31 - 1
COMPLETENESS = ("complete", "incomplete", "invalid", "unknown")
HISTORY_KINDS = ("tail", "range", "search")


@dataclass(frozen=True)
class Question:
    """A checked request to a kernel. `read` checks the kernel's answer, and raises MalformedMessage."""

    msg_type: str
    content: JsonObject
    read: Callable[[JsonObject], JsonObject]

    @property
    def reply_type(self) -> str:
        """The type of the message that answers it."""
        return self.msg_type.replace("_request", "_reply")


def question_of(body: JsonObject) -> Question:
    """The question in a gateway's request; raises MalformedMessage."""
    msg_type, content = body.get("msg_type"), body.get("content")
    kinds = {
        "complete_request": _completion,
        "inspect_request": _inspection,
        "is_complete_request": _completeness,
        "history_request": _history,
    }
    make = kinds.get(msg_type) if isinstance(msg_type, str) else None
    if not make or not isinstance(content, dict):
        raise MalformedMessage(f"msg_type must be one of {', '.join(kinds)}, with its content")
    return make(content)


def _completion(content: JsonObject) -> Question:
    code = _code(content)
    asked: JsonObject = {"code": code, "cursor_pos": _cursor(content, code)}

    def read(answer: JsonObject) -> JsonObject:
        start = whole_number(answer.get("cursor_start"), "cursor_start", 0, len(code))
        end = whole_number(answer.get("cursor_end"), "cursor_end", start, len(code))
        matches: list[Json] = [*_first(_texts(answer.get("matches")))]
        return {"matches": matches, "cursor_start": start, "cursor_end": end}

    return Question("complete_request", asked, read)


def _inspection(content: JsonObject) -> Question:
    code = _code(content)
    asked: JsonObject = {
        "code": code,
        "cursor_pos": _cursor(content, code),
        "detail_level": whole_number(content.get("detail_level", 0), "detail_level", 0, 1),
    }
    return Question("inspect_request", asked, _read_inspection)


def _read_inspection(answer: JsonObject) -> JsonObject:
    data = answer.get("data")
    if answer.get("found") is not True or not isinstance(data, dict):
        return {"found": False, "data": {}}
    told: JsonObject = {}
    for kind in INSPECTION_TYPES:
        text = data.get(kind)
        if not isinstance(text, str):
            continue
        head = cut_utf8(utf8(text), MAX_INSPECTION_BYTES).decode("utf-8", "surrogatepass")
        # HTML that is cut may be shown wrongly, so it is left out.
        if kind == "text/plain" or head == text:
            told[kind] = head
    return {"found": True, "data": told}


def _completeness(content: JsonObject) -> Question:
    return Question("is_complete_request", {"code": _code(content)}, _read_completeness)


def _read_completeness(answer: JsonObject) -> JsonObject:
    status, indent = answer.get("status"), answer.get("indent", "")
    if status not in COMPLETENESS or not isinstance(indent, str):
        raise MalformedMessage("not an answer about completeness")
    return {"status": status, "indent": indent[:MAX_INDENT_CHARACTERS]}


def _history(content: JsonObject) -> Question:
    kind, pattern = content.get("hist_access_type"), content.get("pattern", "*")
    if kind not in HISTORY_KINDS:
        raise MalformedMessage(f"hist_access_type must be one of {', '.join(HISTORY_KINDS)}")
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_CHARACTERS:
        raise MalformedMessage(
            f"pattern must be text of at most {MAX_PATTERN_CHARACTERS} characters"
        )
    numbers = {name: content.get(name) for name in ("n", "session", "start", "stop")}
    asked: JsonObject = {
        "hist_access_type": kind,
        "pattern": pattern,
        **{name: content.get(name) is True for name in ("raw", "output", "unique")},
        **{
            name: whole_number(value, name, -MAX_COUNT, MAX_COUNT)
            for name, value in numbers.items()
            if value is not None
        },
    }
    return Question("history_request", asked, _read_history)


def _read_history(answer: JsonObject) -> JsonObject:
    history = answer.get("history")
    if not isinstance(history, list):
        raise MalformedMessage("no history")
    kept: list[Json] = []
    room = MAX_ANSWER_BYTES
    # The newest come last.
    for item in reversed(history[-MAX_ANSWER_ITEMS:]):
        entry = _entry(item)
        room -= sum(len(utf8(text)) for text in entry.values() if isinstance(text, str))
        if room < 0:
            break
        kept.append(entry)
    return {"entries": kept[::-1]}


def _entry(item: Json) -> JsonObject:
    if not isinstance(item, list) or len(item) != 3:
        raise MalformedMessage("not an entry of a history")
    session, line, text = item
    source, output = text if isinstance(text, list) and len(text) == 2 else (text, None)
    if not isinstance(source, str) or not isinstance(output, str | None):
        raise MalformedMessage("not an entry of a history")
    return {
        "session": whole_number(session, "session", 0, MAX_COUNT),
        "line": whole_number(line, "line", 0, MAX_COUNT),
        "input": source,
        "output": output,
    }


def _code(content: JsonObject) -> str:
    code = content.get("code")
    if not isinstance(code, str) or len(code) > MAX_CODE_CHARACTERS:
        raise MalformedMessage(f"code must be text of at most {MAX_CODE_CHARACTERS} characters")
    return code


def _cursor(content: JsonObject, code: str) -> int:
    return whole_number(content.get("cursor_pos"), "cursor_pos", 0, len(code))


def _texts(value: Json) -> list[str]:
    if not isinstance(value, list):
        raise MalformedMessage("not a list of text")
    texts = [text for text in value if isinstance(text, str)]
    if len(texts) < len(value):
        raise MalformedMessage("not a list of text")
    return texts


def _first(texts: list[str]) -> list[str]:
    """The first texts that fit."""
    kept: list[str] = []
    room = MAX_ANSWER_BYTES
    for text in texts[:MAX_ANSWER_ITEMS]:
        room -= len(utf8(text))
        if room < 0:
            break
        kept.append(text)
    return kept


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


class OpenQuestion:
    """Asks the idle kernel of a lane a question, and waits for the answer for a short time.

    Answering can run user code: a `__dir__`, a property, an input transformer. But a question is not an execution: it
    has no frames, and its output is dropped. An execution that arrives meanwhile waits until the kernel is free again,
    or until the time of the question is over.

    States of a question: asked -> given up (its time is over: the kernel got SIGINT) -> over (the kernel is free
    again).
    """

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
        """Whether the kernel may still be busy with the question."""
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
