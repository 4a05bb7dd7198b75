"""Turns the kernel's messages into JSON. Any Python text gets through, even text that UTF-8 cannot encode.

jupyter_client writes UTF-8, fails at a lone surrogate, and loses the message. Here an escape stands for it. The
encoders are made once, before any user code runs: that is quicker, and code that replaces `json.dumps` does not change
them.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_client.jsonutil import json_clean, json_default

_ENCODER = json.JSONEncoder(
    default=json_default, ensure_ascii=False, allow_nan=False, separators=(",", ":")
)
_ASCII_ENCODER = json.JSONEncoder(default=json_default, allow_nan=False, separators=(",", ":"))


def pack(message: Any) -> bytes:
    """One part of a message, as JSON."""
    try:
        return _dump(message)
    except (TypeError, ValueError):
        # User code may give display data that is not JSON (NaN, bytes): it is cleaned as jupyter_client does it.
        return _dump(json_clean(message))


def _dump(message: Any) -> bytes:
    try:
        return _ENCODER.encode(message).encode()
    except UnicodeEncodeError:
        return _ASCII_ENCODER.encode(message).encode("ascii")
