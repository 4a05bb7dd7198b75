"""The message that sends code to a kernel."""

from __future__ import annotations

from cellhouse_agent.requests import CellOptions, Surroundings
from cellhouse_agent.wire import JsonObject


def code_content(code: str, may_ask: bool, options: CellOptions) -> JsonObject:
    """The content of the message: the code, how it is run, and whether somebody can answer its questions."""
    return {
        "code": code,
        "silent": options.silent,
        "store_history": options.store_history,
        "user_expressions": {**options.user_expressions},
        "allow_stdin": may_ask,
        "stop_on_error": False,
    }


def code_metadata(end_key: str, surroundings: Surroundings | None) -> JsonObject:
    """The metadata of the message: the key that ends the execution, and the variables and folder of this code alone."""
    metadata: JsonObject = {"end_key": end_key}
    if surroundings:
        metadata["surroundings"] = surroundings.for_kernel()
    return metadata
