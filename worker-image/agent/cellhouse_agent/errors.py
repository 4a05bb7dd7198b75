"""How a request is refused (docs/worker-protocol.md, "Operations"). An operation's own error is a row of ERRORS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cellhouse_agent.gateway_gate import StaleEpoch
from cellhouse_agent.wire import JsonObject, MalformedMessage

# Each error with its HTTP status and its JSON.
ERRORS: dict[type[Exception], Callable[[Any], tuple[int, JsonObject]]] = {
    StaleEpoch: lambda error: (409, {"error": "stale_epoch", "epoch": error.highest}),
    MalformedMessage: lambda error: (400, {"error": "bad_request", "message": str(error)}),
}


def refusal_of(error: BaseException | None) -> tuple[int, JsonObject] | None:
    """The status and JSON of the refusal; None for an unexpected error, which is the agent's own fault."""
    for kind, answer in ERRORS.items():
        if isinstance(error, kind):
            return answer(error)
    return None
