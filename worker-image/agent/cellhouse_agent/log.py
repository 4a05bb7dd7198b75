"""Logs one JSON object per line to standard output, the container's log. Never logs code, output or keys."""

from __future__ import annotations

import json
import logging
import os
import time

# How much of a library's message is logged. The message is a template: it does not have its arguments yet.
MAX_MESSAGE_CHARACTERS = 200

_dropped_lines = 0
# The rest of a line that was written only in part. A pipe takes up to 4,096 bytes (PIPE_BUF) as a whole, but may cut
# longer lines.
_rest = b""


def log_event(event: str, **fields: str | int | float | bool | None) -> None:
    """Write a line, or count it as dropped when nobody reads the log.

    Workers outlive the Docker engine. While it is down, the pipe fills up: a blocking write would stop the worker.
    If only a part of a line fits, its rest is written before the next line.
    """
    global _dropped_lines, _rest
    line: dict[str, object] = {"time": round(time.time(), 3), "event": event, **fields}
    if _dropped_lines:
        line["dropped_lines"] = _dropped_lines
    try:
        os.set_blocking(1, False)
        if _rest:
            _rest = _rest[os.write(1, _rest) :]
        if _rest:
            raise BlockingIOError
        data = json.dumps(line).encode() + b"\n"
        _rest = data[os.write(1, data) :]
    except BlockingIOError:
        _dropped_lines += 1
    except OSError:
        # The log is closed: there is nowhere to say so, and a worker without a log still works.
        _dropped_lines += 1
    else:
        _dropped_lines = 0


class _LibraryLogs(logging.Handler):
    """Logs messages of tornado and asyncio as events, without their arguments, which could be a user's data."""

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
    """Send warnings and errors of libraries through log_event, so that they neither block nor reveal data."""
    logging.basicConfig(handlers=[_LibraryLogs()], level=logging.WARNING)
