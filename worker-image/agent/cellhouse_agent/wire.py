"""Messages to and from a kernel, which may be hostile: their parts, and the JSON inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from cellhouse_agent.json_values import holds_more_than
from cellhouse_kernel.packets import MAX_TOGETHER, MalformedParts, pack_parts, unpack_parts

# Channel, type, id of the parent.
HEAD_PARTS = 3
# Types whose content is not read: it only repeats the code of a cell.
UNREAD_TYPES = frozenset({"execute_input"})
# The longest type and parent id that are accepted; ours are far shorter.
MAX_NAME_BYTES = 1_024
# The deepest nesting that is accepted in an output's JSON. Programs that read it later use recursion, too.
MAX_JSON_DEPTH = 64
# The most values in one message (worker-protocol.md): 16 MiB can hold five million, which take 0.4 GB when parsed.
MAX_JSON_VALUES = 400_000

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]


class MalformedMessage(Exception):
    """A message that no kernel of ours sends; the text says what was wrong, never what it contained."""


@dataclass(frozen=True)
class Assembled:
    """The bytes of messages. If these are too large, `data` is only the first packet, but `size_bytes` counts all."""

    data: bytes
    size_bytes: int
    is_whole: bool


@dataclass(frozen=True)
class KernelMessage:
    """A message from the kernel. Its content is not checked yet, and empty if it was not JSON."""

    msg_type: str
    parent_msg_id: str
    content: JsonObject
    size_bytes: int


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: with such options, json.loads and json.dumps make a new coder at each call and take twice as long.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def load_object(data: bytes | memoryview | str) -> JsonObject:
    """Parse a JSON object; raises MalformedMessage for all else (also NaN, too deep, too many digits or values)."""
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
            return _ASCII_ENCODER.encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("cannot be written as JSON") from error


def is_deeper_than(value: Json, depth: int) -> bool:
    """Whether lists and objects are nested more than `depth` deep."""
    if isinstance(value, dict):
        return depth == 0 or any(is_deeper_than(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(is_deeper_than(item, depth - 1) for item in value)
    return False


def pack_request(
    msg_id: str, msg_type: str, content: JsonObject, metadata: JsonObject | None = None
) -> bytes:
    """A request to the kernel. ASCII only, so that lone surrogates in code get through."""
    identifier = msg_id.encode("utf-8", "surrogatepass")
    more, body = (_ASCII_ENCODER.encode(each or {}).encode() for each in (metadata, content))
    return pack_parts((b"shell", msg_type.encode(), identifier, more, body))


def split_messages(assembled: Assembled) -> Iterator[tuple[list[memoryview], int]]:
    """The parts of each message, and its size. If the messages are too large, only the head of the first one.

    The parts are views: each copy of a large message takes time. Raises MalformedMessage at bytes that are no message,
    and when there are too many messages.
    """
    data = memoryview(assembled.data)
    try:
        if not assembled.is_whole:
            yield unpack_parts(data, count=HEAD_PARTS)[0], assembled.size_bytes
            return
        start = count = 0
        while start < len(data):
            count += 1
            if count > MAX_TOGETHER:
                raise MalformedMessage("too many together")
            parts, end = unpack_parts(data, start)
            yield parts, end - start
            start = end
    except MalformedParts as error:
        raise MalformedMessage("malformed parts") from error


def read_message(parts: list[memoryview], size_bytes: int) -> tuple[str, KernelMessage]:
    """The channel and the message; raises MalformedMessage.

    Content that was too large (then there is only the head) or is malformed comes out empty, so that its execution
    still learns of the message.
    """
    channel, msg_type, parent_id, *rest = parts
    if channel not in (b"shell", b"iopub") or max(len(msg_type), len(parent_id)) > MAX_NAME_BYTES:
        raise MalformedMessage("malformed head")
    try:
        name, parent = str(msg_type, "utf-8"), str(parent_id, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise MalformedMessage("malformed head") from error
    try:
        content = load_object(rest[1]) if rest and name not in UNREAD_TYPES else {}
    except MalformedMessage:
        content = {}
    return str(channel, "utf-8"), KernelMessage(name, parent, content, size_bytes)
