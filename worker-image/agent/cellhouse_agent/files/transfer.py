"""What transfers share: they take the connection over, and stream a body in one direction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tornado.web import stream_request_body

from cellhouse_agent.errors import refusal_of
from cellhouse_agent.files.body import Body
from cellhouse_agent.files.connection import Connection, Cut, Silence
from cellhouse_agent.files.handlers import FilesHandler
from cellhouse_agent.files.helper import Fields, FileRefused
from cellhouse_agent.wire import MalformedMessage

# Every PUT must expect this, so that the caller learns of a refusal before it has sent a body.
EXPECTATION = "100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@stream_request_body
class TransferHandler(FilesHandler):
    """A request that takes the connection over. Everything happens in `prepare`, before tornado reads a body."""

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
        """Hand the pieces of the body to `take`, and answer with what that returns. A cut connection gets no answer.

        The request of `take` for the first piece sends CONTINUE. What must be given up when the connection is cut is
        begun by `take`, and not before, since the connection may be impossible to take over.
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
