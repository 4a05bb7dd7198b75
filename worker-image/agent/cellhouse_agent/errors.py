"""How a request is refused (worker-protocol.md, "Operations"). An operation's own error is a row of ERRORS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cellhouse_agent.contexts import TooManyContexts
from cellhouse_agent.egress.egress import TooManyStreams
from cellhouse_agent.files.access import OtherWorker
from cellhouse_agent.files.helper import FileRefused
from cellhouse_agent.gateway_gate import StaleEpoch
from cellhouse_agent.input_buffer import OutOfOrder
from cellhouse_agent.restart_waiters import NoContext, NoKernel
from cellhouse_agent.wire import JsonObject, MalformedMessage

# The HTTP status of each reason why a file operation was refused.
FILE_STATUSES = {
    "bad_path": 400,
    "too_many_links": 400,
    "bad_archive": 400,
    "permission_denied": 403,
    "not_found": 404,
    "no_watcher": 404,
    "timed_out": 408,
    "not_a_file": 409,
    "not_a_directory": 409,
    "not_empty": 409,
    "exists": 409,
    "other_disk": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "too_many_watched": 413,
    "bad_range": 416,
    "busy": 429,
    "too_many_watchers": 429,
    "unavailable": 503,
    "disk_full": 507,
}

# Each error with its HTTP status and its JSON.
ERRORS: dict[type[Exception], Callable[[Any], tuple[int, JsonObject]]] = {
    StaleEpoch: lambda error: (409, {"error": "stale_epoch", "epoch": error.highest}),
    MalformedMessage: lambda error: (400, {"error": "bad_request", "message": str(error)}),
    NoContext: lambda _error: (404, {"error": "no_context"}),
    TooManyContexts: lambda _error: (429, {"error": "too_many_contexts"}),
    OutOfOrder: lambda error: (422, {"error": "out_of_order", "accepted": error.accepted}),
    TooManyStreams: lambda _error: (429, {"error": "too_many_streams"}),
    NoKernel: lambda _error: (503, {"error": "no_kernel"}),
    OtherWorker: lambda error: (409, {"error": error.reason}),
    FileRefused: lambda error: (
        FILE_STATUSES.get(error.code, 500),
        {"error": error.code, "message": str(error)},
    ),
}


def refusal_of(error: BaseException | None) -> tuple[int, JsonObject] | None:
    """The status and JSON of the refusal; None for an unexpected error, which is the agent's own fault."""
    for kind, answer in ERRORS.items():
        if isinstance(error, kind):
            return answer(error)
    return None
