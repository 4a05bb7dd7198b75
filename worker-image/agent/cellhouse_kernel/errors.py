"""Turns an exception into the content of an `error` message that always gets through.

Whatever an exception's class does (`__str__` that raises, a text of many megabytes), its name and the head of its text
arrive. The bytes that were cut are counted, and the agent reports them in a gap.
"""

from __future__ import annotations

from typing import Any

# Even with the longest traceback beside it, and every character escaped (6 bytes), a message stays under the 16 MiB
# that the agent accepts, and below what the gateway keeps (parseFrame.ts).
MAX_VALUE_CHARACTERS = 1_000_000
MAX_TRACEBACK_CHARACTERS = 1_000_000
# One entry is a frame with its lines of code, or the exception's text.
MAX_ENTRY_CHARACTERS = 65_536

# Not part of Jupyter's protocol; the agent takes it out.
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
    """Cuts texts, and counts in `dropped_bytes` what it took away."""

    def __init__(self) -> None:
        self.dropped_bytes = 0

    def cut(self, text: str, max_characters: int) -> str:
        """The head of a text, with a note of how much is missing."""
        if len(text) <= max_characters:
            return text
        self._count(text[max_characters:])
        return f"{text[:max_characters]}… [{len(text) - max_characters} more characters]"

    def cut_lines(self, lines: list[str]) -> list[str]:
        """The first entry (the heading) and the last that fit: the innermost frames say the most."""
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
        "ename": name_of(kind),
        "evalue": cutter.cut(text_of(value), MAX_VALUE_CHARACTERS),
        "traceback": cutter.cut_lines(lines),
        DROPPED_BYTES_KEY: cutter.dropped_bytes,
    }
