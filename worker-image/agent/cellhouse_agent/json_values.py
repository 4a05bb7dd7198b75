"""Tells without parsing whether a JSON text has too many values: parsed values take twenty times the memory."""

from __future__ import annotations

import re

# A JSON string, even one without an end. Its quantifiers are possessive: no text can make it backtrack.
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def holds_more_than(limit: int, text: str) -> bool:
    """Whether there are more than `limit` values; keys are not counted, an empty list or object counts twice.

    The answer is meaningless if the text is not JSON.
    """
    # A value takes at least two characters, itself and a separator: a short text cannot hold too many.
    if len(text) <= 2 * limit or _marks(text) < limit:
        return False
    return _marks(_TEXT.sub("", text)) >= limit


def _marks(text: str) -> int:
    """How many commas and opening brackets there are: every value but the first follows one."""
    return text.count(",") + text.count("[") + text.count("{")
