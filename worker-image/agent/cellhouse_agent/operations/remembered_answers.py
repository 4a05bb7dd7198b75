"""The answers to requests that may be sent again by whoever does not know whether they arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cellhouse_agent.wire import JsonObject

# Of one operation. A gateway asks again only while it has not recorded the answer, so these are many.
MAX_REMEMBERED = 1_000


class RememberedAnswers:
    """Of one operation: what has the same id is done once."""

    def __init__(self) -> None:
        self._answers: dict[str, asyncio.Future[JsonObject]] = {}

    async def of(self, request_id: str, run: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
        """The answer of the first that came with this id; `run` if this is the first. One that failed is forgotten."""
        answer = self._answers.get(request_id)
        if answer is None:
            answer = asyncio.ensure_future(run())
            answer.add_done_callback(lambda done: self._forget_failed(request_id, done))
            self._answers[request_id] = answer
            if len(self._answers) > MAX_REMEMBERED:
                del self._answers[next(iter(self._answers))]
        # Whoever gives up waiting does not end it by that.
        return await asyncio.shield(answer)

    def _forget_failed(self, request_id: str, done: asyncio.Future[JsonObject]) -> None:
        has_failed = done.cancelled() or done.exception() is not None
        if has_failed and self._answers.get(request_id) is done:
            del self._answers[request_id]
