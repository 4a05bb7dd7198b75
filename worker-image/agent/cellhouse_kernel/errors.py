"""Makes errors that can always be shown: an `error` message that always gets through, and short tracebacks.

Whatever an exception's class does (`__str__` that raises, a text of many megabytes), the heads of its name and its text
arrive. The bytes that were cut are counted, and the agent reports them in a gap. Tracebacks are made short enough to be
formatted: IPython looks at every frame, so a million frames take it minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

# Even with the longest traceback, and every character escaped (6 bytes), a message stays under the 16 MiB
# that the agent accepts, and below the gateway's limits (parseFrame.ts).
MAX_NAME_CHARACTERS = 1_000
MAX_VALUE_CHARACTERS = 1_000_000
MAX_TRACEBACK_CHARACTERS = 1_000_000
# One entry is a frame with its lines of code, or the exception's text.
MAX_ENTRY_CHARACTERS = 65_536
# A traceback with more frames than these together keeps only this many, at its outer and at its inner end. Together
# they are more than Python's default recursion limit.
OUTER_FRAMES = 100
INNER_FRAMES = 1_000
# Exceptions kept of a longer chain (`raise ... from`, or raised while handling another).
MAX_CHAINED = 10

# Not part of Jupyter's protocol: the agent removes it from the message.
DROPPED_BYTES_KEY = "cellhouse_dropped_bytes"


def name_of(kind: Any) -> str:
    """The name of an exception's class."""
    try:
        return str(kind.__name__)
    except Exception:
        return "Exception"


def text_of(value: Any) -> str:
    """The text of an exception; if `__str__` fails, a note like that in Python's own tracebacks."""
    try:
        return str(value)
    except Exception:
        return f"<exception {name_of(type(value))}: its str() failed>"


class Cutter:
    """Cuts texts; `dropped_bytes` counts the bytes that it cut."""

    def __init__(self) -> None:
        self.dropped_bytes = 0

    def cut(self, text: str, max_characters: int) -> str:
        """The head of a text, with a note of how much is missing."""
        if len(text) <= max_characters:
            return text
        self._count(text[max_characters:])
        return f"{text[:max_characters]}… [{len(text) - max_characters} more characters]"

    def cut_lines(self, lines: list[str]) -> list[str]:
        """The first entry (the heading), and as many of the last as fit: the innermost frames say the most."""
        lines = [self.cut(line, MAX_ENTRY_CHARACTERS) for line in lines]
        room = MAX_TRACEBACK_CHARACTERS
        for index in range(len(lines) - 1, 0, -1):
            room -= len(lines[index])
            if room < 0:
                self._count("".join(lines[1 : index + 1]))
                return [lines[0], f"[{index} entries are left out]\n", *lines[index + 1 :]]
        return lines

    def _count(self, text: str) -> None:
        self.dropped_bytes += len(text.encode("utf-8", "surrogatepass"))


def error_content(kind: Any, value: Any, lines: list[str]) -> dict[str, Any]:
    """The content of an `error` message."""
    cutter = Cutter()
    return {
        "ename": cutter.cut(name_of(kind), MAX_NAME_CHARACTERS),
        "evalue": cutter.cut(text_of(value), MAX_VALUE_CHARACTERS),
        "traceback": cutter.cut_lines(lines),
        DROPPED_BYTES_KEY: cutter.dropped_bytes,
    }


def shortened(trace: TracebackType | None) -> tuple[TracebackType | None, int]:
    """A traceback without its middle, and how many frames were left out."""
    entries: list[TracebackType] = []
    entry = trace
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    left_out = len(entries) - OUTER_FRAMES - INNER_FRAMES
    if left_out <= 0:
        return trace, 0
    joined: TracebackType | None = entries[-INNER_FRAMES]
    for outer in reversed(entries[:OUTER_FRAMES]):
        joined = TracebackType(joined, outer.tb_frame, outer.tb_lasti, outer.tb_lineno)
    return joined, left_out


def inner_frames(trace: TracebackType | None, offset: int) -> TracebackType | None:
    """A traceback without its `offset` outermost frames; whole if it has no others."""
    inner = trace
    for _ in range(offset):
        inner = inner.tb_next if inner else None
    return inner or trace


@contextmanager
def short_chain(error: BaseException) -> Iterator[int]:
    """Within this context, an exception and those it is chained to have short tracebacks and a short chain.

    Yields the number of frames left out. Afterwards all of the exceptions are as they were before.
    """
    left_out = 0
    with ExitStack() as restore:
        chain = list(chain_of(error))
        for link in chain:
            trace, missing = shortened(link.__traceback__)
            if missing:
                restore.callback(link.with_traceback, link.__traceback__)
                link.with_traceback(trace)
                left_out += missing
        _unchain(chain[-1], restore)
        yield left_out


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and those it is chained to, newest first, at most MAX_CHAINED."""
    link: BaseException | None = error
    for _ in range(MAX_CHAINED):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _unchain(error: BaseException, restore: ExitStack) -> None:
    cause, context = error.__cause__, error.__context__
    is_suppressed = error.__suppress_context__

    def chain_again() -> None:
        error.__cause__, error.__context__ = cause, context
        error.__suppress_context__ = is_suppressed

    restore.callback(chain_again)
    error.__cause__ = error.__context__ = None
