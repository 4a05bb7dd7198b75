"""The HTTP requests of docs/internals/worker-protocol.md: hands each to its operation."""

from __future__ import annotations

from typing import Any

from tornado.web import HTTPError, RequestHandler

from cellhouse_agent.errors import refusal_of
from cellhouse_agent.log import log_event
from cellhouse_agent.operations.operation import Operation, request_id_of
from cellhouse_agent.operations.remembered_answers import RememberedAnswers
from cellhouse_agent.operations.table import OPERATIONS
from cellhouse_agent.requests import epoch_of
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject, load_object

OTHER_ERRORS = {404: "not_found", 405: "method_not_allowed"}


class ApiHandler(RequestHandler):
    """Answers in JSON. A failure is a refusal of errors.py, or a status with a general error code."""

    def answer(self, body: JsonObject, status: int = 200) -> None:
        """Send a JSON answer."""
        self.set_status(status)
        self.finish(body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn what was raised into an answer."""
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
