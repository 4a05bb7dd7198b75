"""Jupyter's ZeroMQ messages: parts, signatures, and the JSON inside.

Done here and not by jupyter_client's Session: that one parses every date and copies every message, and the kernel at
the other end is hostile, so each step needs its own bounds anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import NoReturn

from cellhouse_agent.json_values import holds_more_than

DELIMITER = b"<IDS|MSG>"
# Identities before the delimiter: a topic on iopub, nothing on shell. More is not a message.
MAX_IDENTITIES = 4
# Deepest nesting accepted of an output's JSON; what reads it later recurses too.
MAX_JSON_DEPTH = 64
# Most values of one message (docs/worker-protocol.md): 16 MiB can hold five million, which are 0.4 GB here.
MAX_JSON_VALUES = 400_000

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]


class MalformedMessage(Exception):
    """A message that no kernel of ours sends; the text says what was wrong, never what it contained."""


@dataclass(frozen=True)
class KernelMessage:
    """A message from the kernel, rightly signed; its content is still to be checked, and empty if it is no JSON."""

    msg_type: str
    parent_msg_id: str
    content: JsonObject
    size_bytes: int


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def load_object(data: bytes | str) -> JsonObject:
    """Parse a JSON object; raises MalformedMessage for all else (also NaN, too deep, too many digits or values)."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
        if holds_more_than(MAX_JSON_VALUES, text):
            raise MalformedMessage("too many values")
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("not JSON") from error
    if not isinstance(value, dict):
        raise MalformedMessage("not an object")
    return value


def dump(value: JsonObject) -> bytes:
    """Write JSON as UTF-8; with escapes where UTF-8 has no way to say it (lone surrogates)."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            return text.encode()
        except UnicodeEncodeError:
            return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("cannot be written as JSON") from error


def is_deeper_than(value: Json, depth: int) -> bool:
    """Whether lists and objects are nested more than `depth` deep."""
    if isinstance(value, dict):
        return depth == 0 or any(is_deeper_than(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(is_deeper_than(item, depth - 1) for item in value)
    return False


class Signer:
    """Signs and checks with the key of one kernel."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, parts: list[bytes]) -> bytes:
        """The signature of header, parent header, metadata and content."""
        signature = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            signature.update(part)
        return signature.hexdigest().encode()

    def pack(self, header: JsonObject, content: JsonObject) -> list[bytes]:
        """A request, ready to send. ASCII only, so that lone surrogates in code get through."""
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        return [DELIMITER, self.sign(parts), *parts]

    def unpack(self, frames: list[bytes], max_bytes: int) -> KernelMessage:
        """Check and parse a message from the kernel; raises MalformedMessage.

        Content that is too large (then `size_bytes` is over `max_bytes`) or malformed comes out empty, so that whoever
        it is for learns that there was something.
        """
        try:
            start = frames.index(DELIMITER, 0, MAX_IDENTITIES + 1) + 1
        except ValueError as error:
            raise MalformedMessage("no delimiter") from error
        if len(frames) < start + 5:
            raise MalformedMessage("too few parts")
        signature, *parts = frames[start : start + 5]
        if not hmac.compare_digest(signature, self.sign(parts)):
            raise MalformedMessage("wrong signature")
        size_bytes = sum(map(len, frames))
        if len(parts[0]) + len(parts[1]) > max_bytes:
            raise MalformedMessage("headers too large")
        msg_type = load_object(parts[0]).get("msg_type")
        parent_msg_id = load_object(parts[1]).get("msg_id", "")
        if not isinstance(msg_type, str) or not isinstance(parent_msg_id, str):
            raise MalformedMessage("malformed header")
        try:
            content = load_object(parts[3]) if size_bytes <= max_bytes else {}
        except MalformedMessage:
            content = {}
        return KernelMessage(msg_type, parent_msg_id, content, size_bytes)
