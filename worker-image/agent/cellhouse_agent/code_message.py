"""The message that sends code to a kernel."""

from __future__ import annotations

from cellhouse_agent.requests import Surroundings
from cellhouse_agent.wire import JsonObject


def code_content(code: str, may_ask: bool) -> JsonObject:
    """Its content: the code, and whether somebody can answer when it asks."""
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": may_ask,
        "stop_on_error": False,
    }


def code_metadata(end_key: str, surroundings: Surroundings | None) -> JsonObject:
    """Its metadata: what the last message about it carries, and what only this code finds around it."""
    metadata: JsonObject = {"end_key": end_key}
    if surroundings:
        metadata["surroundings"] = surroundings.for_kernel()
    return metadata
