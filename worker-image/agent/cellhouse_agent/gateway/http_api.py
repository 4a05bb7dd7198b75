"""Answers the HTTP requests of docs/internals/worker-protocol.md with the results of operations, or with refusals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler

from cellhouse_agent.egress import TooManyStreams
from cellhouse_agent.executions.contexts import TooManyContexts
from cellhouse_agent.executions.inputs import OutOfOrder
from cellhouse_agent.executions.kernel_keeper import NoContext, NoKernel
from cellhouse_agent.files.helper import FileRefused, OtherWorker
from cellhouse_agent.gateway.gate import StaleEpoch
from cellhouse_agent.gateway.operations import OPERATIONS, Operation, request_id_of
from cellhouse_agent.gateway.requests import epoch_of
from cellhouse_agent.json_values import JsonObject, MalformedMessage, load_object
from cellhouse_agent.log import log_event
from cellhouse_agent.services import Services

OTHER_ERRORS = {404: "not_found", 405: "method_not_allowed"}


class ApiHandler(RequestHandler):
    """Answers in JSON. A failure is answered as ERRORS says, or with a general error code."""

    def answer(self, body: JsonObject, status: int = 200) -> None:
        """Send a JSON answer."""
        self.set_status(status)
        self.finish(body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn the exception that was raised into an answer."""
        refusal = refusal_of(kwargs.get("exc_info", (None, None, None))[1])
        if refusal:
            status, body = refusal
            self.answer(body, status)
        else:
            self.answer({"error": OTHER_ERRORS.get(status_code, "internal")}, status_code)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log an unexpected error by its type only: its message could hold a user's data."""
        if refusal_of(value) is None and not isinstance(value, HTTPError):
            log_event("request_failed", error=type(value).__name__, path=self.request.path)


class UnknownHandler(ApiHandler):
    """Answers on every unknown path."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        raise HTTPError(404)


class OperationHandler(ApiHandler):
    """One operation's path."""

    def initialize(
        self, services: Services, operation: Operation[Any], answers: RememberedAnswers
    ) -> None:
        """Take the agent's parts, the operation, and its remembered answers."""
        self.services = services
        self.operation = operation
        self.answers = answers

    def prepare(self) -> None:
        """Refuse any other method."""
        if self.request.method != self.operation.method:
            raise HTTPError(405)

    async def get(self) -> None:
        """Answer any caller: a GET checks no epoch."""
        operation = self.operation
        self.answer(await operation.run(self.services, operation.read({})))

    async def post(self) -> None:
        """Answer a gateway whose epoch is not stale."""
        operation, services = self.operation, self.services
        body = load_object(self.request.body)
        services.gate.admit(epoch_of(body.get("epoch")))
        fields, request_id = operation.read(body), request_id_of(body)
        if request_id and operation.is_remembered:
            run = operation.run
            self.answer(await self.answers.of(request_id, lambda: run(services, fields)))
        else:
            self.answer(await operation.run(services, fields))


def operation_routes(
    services: Services,
) -> list[tuple[str, type[OperationHandler], dict[str, Any]]]:
    """Each operation at its path."""
    return [
        (
            f"/{operation.name}",
            OperationHandler,
            {"services": services, "operation": operation, "answers": RememberedAnswers()},
        )
        for operation in OPERATIONS
    ]


# Per operation: more than enough, since a gateway repeats a request only until it has recorded the answer.
MAX_REMEMBERED = 1_000


class RememberedAnswers:
    """The answers of one operation: requests with the same id run once.

    A gateway that does not know whether its request has arrived sends it again.
    """

    def __init__(self) -> None:
        self._answers: dict[str, asyncio.Future[JsonObject]] = {}

    async def of(self, request_id: str, run: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
        """The answer to the first request with this id; `run` makes it. A failed answer is forgotten."""
        answer = self._answers.get(request_id)
        if answer is None:
            answer = asyncio.ensure_future(run())
            answer.add_done_callback(lambda done: self._forget_failed(request_id, done))
            self._answers[request_id] = answer
            if len(self._answers) > MAX_REMEMBERED:
                del self._answers[next(iter(self._answers))]
        # A caller that stops waiting does not cancel the run.
        return await asyncio.shield(answer)

    def _forget_failed(self, request_id: str, done: asyncio.Future[JsonObject]) -> None:
        has_failed = done.cancelled() or done.exception() is not None
        if has_failed and self._answers.get(request_id) is done:
            del self._answers[request_id]


# How a request is refused: "Operations" in docs/internals/worker-protocol.md. Each operation's error has a row in
# ERRORS.

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
    """The status and JSON of the refusal; None if the error is not in ERRORS."""
    for kind, answer in ERRORS.items():
        if isinstance(error, kind):
            return answer(error)
    return None


def detached_socket(handler: RequestHandler) -> socket.socket:
    """Take the handler's connection away from tornado, so that bytes need not be copied through tornado.

    The caller owns the socket, which does not block. Raises OSError if no descriptor is left. Then tornado still has
    the connection, and answers.
    """
    connection = handler.request.connection
    assert isinstance(connection, HTTP1Connection)
    stream = connection.stream
    # tornado watches and closes its own descriptor, so the caller gets a duplicate. If the client has hung up, tornado
    # has no descriptor left. Then the caller gets a new socket, over which nothing can be sent.
    taken: socket.socket = socket.socket(socket.AF_UNIX) if stream.closed() else stream.socket.dup()
    handler.detach().close()
    taken.setblocking(False)
    return taken
