"""How many values a JSON text holds, told without parsing it: as objects they take twenty times their text."""

from __future__ import annotations

import re

# Texts within JSON, also one that never ends. Possessive, so that no text makes it look twice at anything.
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def holds_more_than(limit: int, text: str) -> bool:
    """Whether there are more than `limit` values; keys are not counted, an empty list or object counts twice.

    For what is no JSON the answer says nothing.
    """
    # A value takes two characters at least, itself and what parts it from the next: only long texts are looked at.
    if len(text) <= 2 * limit or _marks(text) < limit:
        return False
    return _marks(_TEXT.sub("", text)) >= limit


def _marks(text: str) -> int:
    """What begins a value or parts it from the one before it; every value but the first has one."""
    return text.count(",") + text.count("[") + text.count("{")
