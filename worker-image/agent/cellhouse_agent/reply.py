"""`execute_reply` contents: the kernel's, cut to a bounded size, and those the agent makes in its place."""

from __future__ import annotations

from cellhouse_agent.outputs import cut_utf8, utf8
from cellhouse_agent.wire import Json, JsonObject

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
    """The number of the cell, if the message has one that is possible."""
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
