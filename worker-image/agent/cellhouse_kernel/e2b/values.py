"""Python's values as JSON.

An output that has too many values, or is nested too deep, is not kept (worker-protocol.md). Its text, which any other
kernel shows, would be lost with it. So the values made here stay well within these limits.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import sys
import uuid
from typing import Any

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

# Half of the values that a message may have (MAX_JSON_VALUES in cellhouse_agent/json_values.py).
MAX_VALUES = 200_000
# With four bytes for each, half of a message. The other half is for the text and the picture of the same object.
MAX_CHARACTERS = 2_097_152
# A message may have 64 levels, and this value is some levels inside its message.
MAX_DEPTH = 48
# Other programs cannot read integers of more than 64 bits.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1


class Budget:
    """How much may still be made."""

    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._characters = MAX_CHARACTERS

    def take(self, values: int = 1, characters: int = 0) -> None:
        """Spend this much; raises ValueError."""
        self.check(values)
        self._values -= values
        self._characters -= characters
        if self._characters < 0:
            raise ValueError("too much text")

    def check(self, values: int) -> None:
        """Raise ValueError if so many values cannot be made."""
        if values > self._values:
            raise ValueError("too many values")


def json_of(value: Any) -> Json:
    """This value as JSON. Raises TypeError if JSON has no form for a value in it, and ValueError if it is too large.

    NaN and infinity become null, a key becomes text, and dates have their ISO form. Arrays of numpy become lists.
    """
    return JsonMaker().make(value)


class JsonMaker:
    """Makes one JSON value."""

    def __init__(self) -> None:
        self.budget = Budget()

    def make(self, value: Any, depth: int = MAX_DEPTH) -> Json:
        """See `json_of`."""
        if depth < 0:
            raise ValueError("too deep")
        if isinstance(value, dict):
            return self._object(value.items(), depth)
        if isinstance(value, list | tuple):
            self.budget.take()
            return [self.make(item, depth - 1) for item in value]
        numpy: Any = sys.modules.get("numpy")
        if numpy and isinstance(value, numpy.ndarray):
            self.budget.check(value.size)
            return self.make(value.tolist(), depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return self._object([(name, getattr(value, name)) for name in names], depth)
        return self._plain(value)

    def unknown(self, value: Any) -> Json:
        """Hook: the JSON in place of a value that JSON does not have."""
        raise TypeError(type(value).__name__)

    def _object(self, items: Any, depth: int) -> Json:
        self.budget.take()
        return {self._text(key_of(key)): self.make(item, depth - 1) for key, item in items}

    def _plain(self, value: Any) -> Json:
        self.budget.take()
        made = plain_of(value)
        if made is NOT_PLAIN:
            made = self.unknown(value)
        return self._text(made) if isinstance(made, str) else made

    def _text(self, text: str) -> str:
        self.budget.take(0, len(text))
        return text


# Stands for a value that has no plain form in JSON.
NOT_PLAIN: Any = object()


def plain_of(value: Any) -> Any:
    """A text, a number, a truth value or null for this value, or NOT_PLAIN."""
    if isinstance(value, enum.Enum):
        return plain_of(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if MIN_INTEGER <= value <= MAX_INTEGER else NOT_PLAIN
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return iso_of(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    return _plain_of_library(value)


def iso_of(value: datetime.date | datetime.time) -> str | None:
    """A date or a time in its ISO form; None for NaT of pandas, which is not equal to itself."""
    return value.isoformat() if value == value else None


def _plain_of_library(value: Any) -> Any:
    """Like `plain_of`, for values of numpy and pandas."""
    numpy: Any = sys.modules.get("numpy")
    if numpy and isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value)
    if numpy and value is numpy.ma.masked:
        return None
    if numpy and isinstance(value, numpy.bool_):
        return bool(value)
    if numpy and isinstance(value, numpy.integer | numpy.floating):
        return plain_of(int(value) if isinstance(value, numpy.integer) else float(value))
    pandas: Any = sys.modules.get("pandas")
    return None if pandas and value is pandas.NA else NOT_PLAIN


def key_of(key: Any) -> str:
    """A key as JSON writes it. Raises TypeError."""
    made = plain_of(key)
    if made is NOT_PLAIN:
        raise TypeError(type(key).__name__)
    return made if isinstance(made, str) else json.dumps(made)
