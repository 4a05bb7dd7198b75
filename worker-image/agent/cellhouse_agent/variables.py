"""The environment variables of a session, which its kernels get over their links, never at their start.

So they are in the environments of the kernel and of the processes that it starts, which run as its user and have no
privileges. The agent, the fork server and the helper for files never have them: LD_PRELOAD, PYTHONPATH and BASH_ENV
would run code there.
"""

from __future__ import annotations

from cellhouse_agent.wire import Json, JsonObject, MalformedMessage

# Far more than the gateway's settings allow.
MAX_VARIABLES = 10_000
MAX_TOTAL_BYTES = 131_072


def checked_variables(value: Json) -> dict[str, str]:
    """Names and values; raises MalformedMessage, which never contains a value."""
    if not isinstance(value, dict) or len(value) > MAX_VARIABLES:
        raise MalformedMessage(f"variables must be an object of at most {MAX_VARIABLES} names")
    checked: dict[str, str] = {}
    size = 0
    for name, text in value.items():
        if not isinstance(text, str):
            raise MalformedMessage("variables must have values that are text")
        try:
            size += len(name.encode()) + len(text.encode())
        except UnicodeEncodeError:
            raise MalformedMessage("variables must be Unicode text") from None
        if not name or "=" in name or "\0" in name or "\0" in text:
            raise MalformedMessage("variables must have names and values that Linux accepts")
        checked[name] = text
    if size > MAX_TOTAL_BYTES:
        raise MalformedMessage(f"variables must have at most {MAX_TOTAL_BYTES} bytes")
    return checked


def variables_content(variables: dict[str, str]) -> JsonObject:
    """The content of the message to a kernel."""
    return {"variables": dict(variables)}
