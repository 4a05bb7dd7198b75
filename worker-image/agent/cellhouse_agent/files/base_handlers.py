"""What all handlers of files share: the check of the caller, the query, and transfers on a connection of their own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, stream_request_body

from cellhouse_agent.files.connection import Body, Connection, Cut, Silence
from cellhouse_agent.files.helper import (
    Fields,
    FileRefused,
    FilesAccess,
    FilesHelper,
    close_descriptor,
)
from cellhouse_agent.gateway.http_api import ApiHandler, refusal_of
from cellhouse_agent.gateway.requests import identifier
from cellhouse_agent.json_values import MalformedMessage


class FilesHandler(ApiHandler):
    """One request about files; each method carries out one operation."""

    def initialize(self, helper: FilesHelper, access: FilesAccess) -> None:
        """Take the agent's parts."""
        self.helper = helper
        self.access = access

    def prepare(self) -> Any:
        """Check who asks, before anything else."""
        self.query = Query(self.request)
        self.access.check(self.query.identifier("session_id"), self.query.identifier("boot_id"))

    def preconditions(self) -> Fields:
        """The entity tags that the caller names."""
        return {name: self.query.text(name) for name in ("if_match", "if_none_match")}

    async def tell(self, do: str, fields: Fields) -> None:
        """Answer with the fields of the helper's answer."""
        with self.access.turn():
            answer = await self.helper.ask(do, fields)
        close_descriptor(answer.descriptor)
        self.answer(answer.fields)

    async def tell_memory(self, do: str, fields: Fields) -> None:
        """Answer with the JSON that the helper has written into a file in memory."""
        with self.access.turn():
            answer = await self.helper.ask(do, fields)
        if answer.descriptor is None:
            raise HTTPError(500)
        try:
            text = os.pread(answer.descriptor, answer.fields["size"], 0)
        finally:
            os.close(answer.descriptor)
        self.set_header("Content-Type", "application/json")
        self.finish(text)


# Every PUT must expect this, so that the caller learns of a refusal before it has sent a body.
EXPECTATION = "100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@stream_request_body
class TransferHandler(FilesHandler):
    """A request that takes the connection over, and streams a body in one direction.

    Everything happens in `prepare`, before tornado reads a body.
    """

    async def prepare(self) -> Any:
        """Carry out the request."""
        super().prepare()
        with self.access.turn():
            if self.request.method == "GET":
                await self.send()
            elif self.request.method == "PUT":
                if self.request.headers.get("Expect", "").lower() != EXPECTATION:
                    raise MalformedMessage(f"Expect must be {EXPECTATION}")
                await self.receive()

    def get(self) -> None:
        """Never reached: `prepare` has answered."""

    def put(self) -> None:
        """Never reached: `prepare` has answered."""

    async def send(self) -> None:
        """Answer a GET."""
        raise NotImplementedError

    async def receive(self) -> None:
        """Answer a PUT."""
        raise NotImplementedError

    async def take_body(
        self, take: Callable[[AsyncIterator[memoryview]], Awaitable[Fields]]
    ) -> None:
        """Pass the pieces of the body to `take`, and answer with what `take` returns. A cut connection gets no answer.

        CONTINUE is sent when `take` asks for the first piece. Begin an operation of the helper in `take`: one begun
        earlier would not be given up if the connection could not be taken over.
        """
        connection = Connection(self)
        try:
            try:
                done = await take(self._pieces(connection))
            except (FileRefused, MalformedMessage) as error:
                status, body = refusal_of(error) or (500, {"error": "internal"})
                await connection.answer(status, body)
                await connection.say_goodbye()
            else:
                await connection.answer(201 if done.get("created") else 200, done)
        except Cut:
            return
        finally:
            connection.close()

    async def _pieces(self, connection: Connection) -> AsyncIterator[memoryview]:
        await connection.send(CONTINUE)
        try:
            async for piece in Body(connection, self.request.headers).pieces():
                yield piece
        except Silence as error:
            raise FileRefused("timed_out", "No byte of the body has come for a while.") from error


MAX_PATH_BYTES = 4_096
MAX_TEXT_CHARACTERS = 16_384
MAX_NUMBER = 2**53
NUMBER_DIGITS = 17


class Query:
    """The parameters of one request. A malformed parameter raises MalformedMessage, which names it."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._arguments = request.query_arguments

    def identifier(self, name: str) -> str:
        """An id, which is required."""
        return identifier(self.text(name), name)

    def path(self, name: str = "path") -> str:
        """The bytes of a path, one character each: a name need not be UTF-8."""
        value = self._last(name)
        if not value or len(value) > MAX_PATH_BYTES:
            raise MalformedMessage(f"{name} must have 1 to {MAX_PATH_BYTES} bytes")
        return value.decode("latin-1")

    def text(self, name: str) -> str | None:
        """A text; None if the parameter is missing."""
        value = self._last(name)
        if value is None:
            return None
        if len(value) > MAX_TEXT_CHARACTERS or not value.isascii():
            raise MalformedMessage(f"{name} must be at most {MAX_TEXT_CHARACTERS} ASCII characters")
        return value.decode("ascii")

    def flag(self, name: str) -> bool:
        """Whether a parameter is 1."""
        value = self._last(name)
        if value not in (None, b"0", b"1"):
            raise MalformedMessage(f"{name} must be 0 or 1")
        return value == b"1"

    def number(self, name: str, default: int, minimum: int = 0) -> int:
        """A whole number."""
        value = self._last(name)
        if value is None:
            return default
        digits = value.removeprefix(b"-")
        is_number = digits.isdigit() and len(digits) <= NUMBER_DIGITS
        if not is_number or not minimum <= int(value) <= MAX_NUMBER:
            raise MalformedMessage(f"{name} must be a whole number from {minimum} to {MAX_NUMBER}")
        return int(value)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of these; the first if the parameter is missing."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise MalformedMessage(f"{name} must be one of {', '.join(choices)}")
        return value or choices[0]

    def _last(self, name: str) -> bytes | None:
        values = self._arguments.get(name)
        return values[-1] if values else None
