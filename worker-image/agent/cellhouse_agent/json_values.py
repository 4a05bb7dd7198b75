"""JSON from kernels and gateways, which may be hostile."""

from __future__ import annotations

import json
import re
from typing import NoReturn

# The deepest nesting that is accepted in an output's JSON. Programs that read it later use recursion, too.
MAX_JSON_DEPTH = 64
# The most values in one message (docs/internals/worker-protocol.md). 16 MiB can hold five million, which take 0.4 GB
# when parsed.
MAX_JSON_VALUES = 400_000

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]


class MalformedMessage(Exception):
    """A message that no kernel of ours sends; the text says what was wrong, never what it contained."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: with such options, json.loads and json.dumps make a new coder at each call and take twice as long.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def load_object(data: bytes | memoryview | str) -> JsonObject:
    """Parse a JSON object; raises MalformedMessage for anything else, such as NaN, deep nesting or too many values."""
    try:
        text = data if isinstance(data, str) else str(data, "utf-8", "surrogatepass")
        if holds_more_than(MAX_JSON_VALUES, text):
            raise MalformedMessage("too many values")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("not JSON") from error
    if not isinstance(value, dict):
        raise MalformedMessage("not an object")
    return value


def dump(value: JsonObject) -> bytes:
    """Write JSON as UTF-8, with escapes if there are lone surrogates, which UTF-8 cannot encode."""
    try:
        try:
            return _ENCODER.encode(value).encode()
        except UnicodeEncodeError:
            return dump_ascii(value)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("cannot be written as JSON") from error


def dump_ascii(value: JsonObject) -> bytes:
    """Write JSON of our own, with escapes for everything that is not ASCII, so that lone surrogates get through."""
    return _ASCII_ENCODER.encode(value).encode()


def is_deeper_than(value: Json, depth: int) -> bool:
    """Whether lists and objects are nested more than `depth` deep."""
    if isinstance(value, dict):
        return depth == 0 or any(is_deeper_than(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(is_deeper_than(item, depth - 1) for item in value)
    return False


# A JSON string, even one without an end. Its quantifiers are possessive: no text can make it backtrack.
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def holds_more_than(limit: int, text: str) -> bool:
    """Whether a JSON text has more than `limit` values. It is not parsed: parsed values take twenty times the memory.

    Keys are not counted, an empty list or object counts twice. The answer is meaningless if the text is not JSON.
    """
    # A value takes at least two characters, itself and a separator: a short text cannot hold too many.
    if len(text) <= 2 * limit or _marks(text) < limit:
        return False
    return _marks(_TEXT.sub("", text)) >= limit


def _marks(text: str) -> int:
    """How many commas and opening brackets there are: every value but the first follows one."""
    return text.count(",") + text.count("[") + text.count("{")
