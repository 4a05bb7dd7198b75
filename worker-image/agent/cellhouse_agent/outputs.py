"""Checks the outputs of user code: decides what goes into a frame, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator

from cellhouse_agent.wire import (
    MAX_JSON_DEPTH,
    Json,
    JsonObject,
    MalformedMessage,
    is_deeper_than,
)

# The longest text of one `stream` frame, in UTF-8 bytes (docs/internals/worker-protocol.md).
MAX_STREAM_PIECE_BYTES = 262_144

OUTPUT_TYPES = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "error", "clear_output"}
)


def _object(content: JsonObject, name: str, default: Json = None) -> JsonObject:
    value = content.get(name, default)
    if not isinstance(value, dict) or is_deeper_than(value, MAX_JSON_DEPTH):
        raise MalformedMessage(f"{name} is not a plain object")
    return value


def _text(content: JsonObject, name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise MalformedMessage(f"{name} is not text")
    return value


def _lines(content: JsonObject, name: str) -> list[Json]:
    value = content.get(name)
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise MalformedMessage(f"{name} is not a list of text")
    return value


def _count(content: JsonObject, name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise MalformedMessage(f"{name} is not a count")
    return value


def check_output(msg_type: str, content: JsonObject) -> JsonObject:
    """The content with exactly the fields its type has; raises MalformedMessage when one is missing or wrong."""
    match msg_type:
        case "stream":
            name = _text(content, "name")
            if name not in ("stdout", "stderr"):
                raise MalformedMessage("unknown stream")
            return {"name": name, "text": _text(content, "text")}
        case "display_data" | "update_display_data":
            return {
                "data": _object(content, "data"),
                "metadata": _object(content, "metadata", {}),
                "transient": _object(content, "transient", {}),
            }
        case "execute_result":
            return {
                "data": _object(content, "data"),
                "metadata": _object(content, "metadata", {}),
                "execution_count": _count(content, "execution_count"),
            }
        case "error":
            return {
                "ename": _text(content, "ename"),
                "evalue": _text(content, "evalue"),
                "traceback": _lines(content, "traceback"),
            }
        case "clear_output":
            return {"wait": content.get("wait") is True}
        case _:
            raise MalformedMessage("not an output")


def dropped_bytes(content: JsonObject) -> int:
    """How many bytes the kernel itself cut from an output, because no message could hold them."""
    name = "cellhouse_dropped_bytes"
    return _count(content, name) if name in content else 0


def utf8(text: str) -> bytes:
    """Encode text that may hold lone surrogates as UTF-8. The length of the result is what counts as output."""
    return text.encode("utf-8", "surrogatepass")


def cut_utf8(data: bytes, max_bytes: int) -> bytes:
    """The longest prefix of at most `max_bytes` that does not split a character."""
    if len(data) <= max_bytes:
        return data
    end = max_bytes
    while end > 0 and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end]


def split_utf8(data: bytes, max_bytes: int = MAX_STREAM_PIECE_BYTES) -> Iterator[str]:
    """Text in pieces of at most `max_bytes`, no character split."""
    while data:
        piece = cut_utf8(data, max_bytes)
        yield piece.decode("utf-8", "surrogatepass")
        data = data[len(piece) :]
