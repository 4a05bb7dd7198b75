"""Makes random JSON and text, with odd values more often than usual. The same seed gives the same values."""

from __future__ import annotations

import random

from cellhouse_agent.json_values import Json, JsonObject

ODD_TEXTS = ("", ",", "[", "{", '"', "\\", '\\"', "\0", "\n", "é", "正", "😀", "\ud800", "\udfff")
FIELDS = (
    "name",
    "text",
    "data",
    "metadata",
    "transient",
    "execution_count",
    "ename",
    "evalue",
    "traceback",
    "wait",
    "status",
    "execution_state",
    "payload",
)
NUMBERS = (0, -1, 1, 0.5, 2**31, 2**53, 10**30, float("inf"), float("nan"), True, None)


def any_text(source: random.Random, longest: int = 8) -> str:
    """Text of at most `longest` odd pieces."""
    return "".join(source.choices(ODD_TEXTS, k=source.randrange(longest + 1)))


def any_json(source: random.Random, depth: int = 3) -> Json:
    """A value like those of JSON, with infinities and NaN, which JSON cannot express."""
    kind = source.randrange(6 if depth else 4)
    if kind < 2:
        return any_text(source)
    if kind < 4:
        return source.choice(NUMBERS)
    items = [any_json(source, depth - 1) for _ in range(source.randrange(4))]
    if kind == 4:
        return items
    return {any_text(source, 2) + str(number): item for number, item in enumerate(items)}


def any_content(source: random.Random) -> JsonObject:
    """The content of a message: known fields, with values that often do not fit them."""
    fields = source.sample(FIELDS, source.randrange(len(FIELDS)))
    content = {field: any_json(source) for field in fields}
    if source.random() < 0.5:
        content |= {"name": source.choice(("stdout", "stderr")), "text": any_text(source, 40)}
    if source.random() < 0.3:
        content["data"] = {"text/plain": any_text(source, 40)}
    return content
