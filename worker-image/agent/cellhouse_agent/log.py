"""One JSON object a line on standard output, which is the container's log. Never code, output or keys."""

from __future__ import annotations

import json
import logging
import os
import time

# The template of a library's message says enough at this length.
MAX_MESSAGE_CHARACTERS = 200

_dropped_lines = 0


def log_event(event: str, **fields: str | int | float | bool | None) -> None:
    """Write a line, or count it as dropped when nobody takes the log.

    While the engine is away (it may be: workers outlive it) the pipe fills. A blocking write would stop the worker.
    """
    global _dropped_lines
    line: dict[str, object] = {"time": round(time.time(), 3), "event": event, **fields}
    if _dropped_lines:
        line["dropped_lines"] = _dropped_lines
    try:
        os.set_blocking(1, False)
        os.write(1, json.dumps(line).encode() + b"\n")
    except BlockingIOError:
        _dropped_lines += 1
    except OSError:
        # The log is closed: there is nowhere to say so, and a worker without a log still works.
        _dropped_lines += 1
    else:
        _dropped_lines = 0


class _LibraryLogs(logging.Handler):
    """What tornado and asyncio have to say, as events; never a message's arguments, which could be a user's data."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        log_event(
            "library_message",
            logger=record.name,
            level=record.levelname,
            message=str(record.msg)[:MAX_MESSAGE_CHARACTERS],
            error=error.__name__ if error else None,
        )


def take_library_logs() -> None:
    """Send warnings and errors of libraries through log_event, so that they can neither block nor tell too much."""
    logging.basicConfig(handlers=[_LibraryLogs()], level=logging.WARNING)
