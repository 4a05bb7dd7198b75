"""The HTTP requests of docs/worker-protocol.md."""

from __future__ import annotations

from typing import Any

from tornado.web import HTTPError, RequestHandler

from cellhouse_agent.gateway_gate import StaleEpoch
from cellhouse_agent.log import log_event
from cellhouse_agent.requests import identifier, whole_number
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject, MalformedMessage, load_object

MAX_EPOCH = 2**53
OTHER_ERRORS = {404: "not_found", 405: "method_not_allowed"}


class ApiHandler(RequestHandler):
    """Answers in JSON; failures are the two that the protocol names, or a 500 that says nothing."""

    services: Services

    def initialize(self, services: Services) -> None:
        """Take the agent's parts."""
        self.services = services

    def answer(self, body: JsonObject, status: int = 200) -> None:
        """Send a JSON answer."""
        self.set_status(status)
        self.finish(body)

    def admitted_body(self) -> JsonObject:
        """The request's JSON object, from a gateway whose epoch is not stale."""
        body = load_object(self.request.body)
        self.services.gate.admit(whole_number(body.get("epoch"), "epoch", 0, MAX_EPOCH))
        return body

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn what a handler raised into an answer."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, StaleEpoch):
            self.answer({"error": "stale_epoch", "epoch": error.highest}, 409)
        elif isinstance(error, MalformedMessage):
            self.answer({"error": "bad_request", "message": str(error)}, 400)
        else:
            self.answer({"error": OTHER_ERRORS.get(status_code, "internal")}, status_code)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log what is unexpected by its type only: a message could hold a user's data."""
        if not isinstance(value, StaleEpoch | MalformedMessage | HTTPError):
            log_event("request_failed", error=type(value).__name__, path=self.request.path)


def request_id_of(body: JsonObject) -> str | None:
    """What names this request however often it is sent, if anything does; raises MalformedMessage."""
    value = body.get("request_id")
    return None if value is None else identifier(value, "request_id")


class UnknownHandler(ApiHandler):
    """Every other path."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        raise HTTPError(404)


class HealthHandler(ApiHandler):
    """GET /health."""

    def get(self) -> None:
        """Say that the agent lives, and what its kernel does."""
        executor = self.services.executor
        self.answer({"status": "ok", "boot_id": self.services.boot_id, "kernel": executor.state})


class InterruptHandler(ApiHandler):
    """POST /interrupt."""

    def post(self) -> None:
        """Interrupt one execution."""
        body = self.admitted_body()
        msg_id = identifier(body.get("msg_id"), "msg_id")
        met = self.services.executor.interrupt(msg_id, request_id_of(body))
        self.answer({"interrupted": met.interrupted, "known": met.known})


class RestartHandler(ApiHandler):
    """POST /restart."""

    async def post(self) -> None:
        """Replace the kernel, and answer when the fresh one is ready."""
        request_id = request_id_of(self.admitted_body())
        self.answer({"kernel_generation": await self.services.executor.restart(request_id)})


class UsageHandler(ApiHandler):
    """GET /usage."""

    def get(self) -> None:
        """The container's counters."""
        usage = self.services.usage
        self.answer(
            {
                "cpu_ms": usage.cpu_ms(),
                "memory_bytes": usage.memory_bytes(),
                "memory_limit_bytes": usage.memory_limit_bytes(),
                "oom_kills": usage.oom_kills(),
            }
        )
