"""Remembers answers, since a gateway that does not know whether its request arrived sends it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cellhouse_agent.wire import JsonObject

# Per operation: more than enough, since a gateway repeats a request only until it has recorded the answer.
MAX_REMEMBERED = 1_000


class RememberedAnswers:
    """The answers of one operation: requests with the same id run once."""

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
