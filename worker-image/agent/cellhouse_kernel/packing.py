"""How the kernel's messages become JSON: any Python text gets through, also text that UTF-8 has no way to say.

jupyter_client writes UTF-8 and fails at a lone surrogate, and the message is lost; an escape can say it.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_client.jsonutil import json_clean, json_default


def pack(message: Any) -> bytes:
    """One part of a message, as JSON."""
    try:
        return _dump(message)
    except (TypeError, ValueError):
        # User code may give display data that is not JSON (NaN, bytes): made presentable, as jupyter_client does.
        return _dump(json_clean(message))


def _dump(message: Any) -> bytes:
    text = json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(message, default=json_default, allow_nan=False).encode("ascii")
