"""Checks the results of what was evaluated beside a cell (`user_expressions`)."""

from __future__ import annotations

from cellhouse_agent.outputs import check_output
from cellhouse_agent.wire import Json, JsonObject, MalformedMessage


def check_results(content: JsonObject, asked: dict[str, str]) -> JsonObject:
    """The results, reduced to the fields that a result has; raises MalformedMessage for one that nobody asked for."""
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
