"""Checks the messages that user code sends through its kernel, and decides which parts frames and replies have."""

from __future__ import annotations

from collections.abc import Iterator

from cellhouse_agent.json_values import (
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
    """The content with exactly the fields its type has. A wrong `wait` counts as false.

    Raises MalformedMessage when a required field is missing, or any other is wrong.
    """
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
    """How many bytes the kernel itself cut from an error that was too long."""
    name = "cellhouse_dropped_bytes"
    return _count(content, name) if name in content else 0


def utf8(text: str) -> bytes:
    """Encode text that may hold lone surrogates as UTF-8. The length of the result counts as output."""
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


# `execute_reply` contents: the kernel's, cut to a bounded size, and those the agent makes in its place.

# A reply always goes into the replay buffer, so it must be small. An output before it holds the whole error.
MAX_NAME_BYTES = 1_024
MAX_VALUE_BYTES = 65_536
MAX_TRACEBACK_BYTES = 262_144


def _cut(value: Json, max_bytes: int) -> str:
    text = value if isinstance(value, str) else ""
    return cut_utf8(utf8(text), max_bytes).decode("utf-8", "surrogatepass")


def _cut_traceback(value: Json) -> list[Json]:
    """The last entries that fit: the innermost frames say the most."""
    kept: list[Json] = []
    room = MAX_TRACEBACK_BYTES
    for line in reversed(value if isinstance(value, list) else []):
        if not isinstance(line, str) or (room := room - len(utf8(line))) < 0:
            break
        kept.append(line)
    return kept[::-1]


def is_exit_reply(content: JsonObject) -> bool:
    """Whether the code called quit() or exit() without `keep_kernel`: the kernel ends 0.1 s after its reply."""
    payload = content.get("payload")
    return isinstance(payload, list) and any(
        isinstance(item, dict)
        and item.get("source") == "ask_exit"
        and item.get("keepkernel") is not True
        for item in payload
    )


def told_count(content: JsonObject) -> int | None:
    """The number of the cell; None if the message has no valid one."""
    count = content.get("execution_count")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**53:
        return None
    return count


def bounded_reply(content: JsonObject) -> JsonObject:
    """The part of the kernel's reply that goes to the gateway."""
    head: JsonObject = {"execution_count": told_count(content)}
    if content.get("status") == "ok":
        return {"status": "ok", **head}
    return {
        "status": "error",
        **head,
        "ename": _cut(content.get("ename"), MAX_NAME_BYTES),
        "evalue": _cut(content.get("evalue"), MAX_VALUE_BYTES),
        "traceback": _cut_traceback(content.get("traceback")),
    }


def made_reply(ename: str, evalue: str) -> JsonObject:
    """A reply that the agent makes when the kernel gave none."""
    return {
        "status": "error",
        "execution_count": None,
        "ename": ename,
        "evalue": evalue,
        "traceback": [],
    }


def check_results(content: JsonObject, asked: dict[str, str]) -> JsonObject:
    """The results of a request's `user_expressions`, reduced to the fields that a result has.

    Raises MalformedMessage for a result that the request did not ask for.
    """
    if not content.keys() <= asked.keys():
        raise MalformedMessage("not asked for")
    return {"results": {name: _result(result) for name, result in content.items()}}


def _result(result: Json) -> Json:
    if not isinstance(result, dict):
        raise MalformedMessage("no result")
    if result.get("status") != "ok":
        return {"status": "error", **check_output("error", result)}
    shown = check_output("display_data", result)
    return {"status": "ok", "data": shown["data"], "metadata": shown["metadata"]}
