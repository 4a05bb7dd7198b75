"""POST /ask."""

from __future__ import annotations

from typing import NamedTuple

from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.questions import Question, question_of
from cellhouse_agent.requests import identifier
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


class Asked(NamedTuple):
    """The question, and the context whose kernel is asked. None: the default context."""

    context_id: str | None
    question: Question


def read(body: JsonObject) -> Asked:
    """Check the fields."""
    context_id = body.get("context_id")
    where = None if context_id is None else identifier(context_id, "context_id")
    return Asked(where, question_of(body))


async def ask(services: Services, asked: Asked) -> JsonObject:
    """Ask a kernel that runs nothing. Without an answer in time, the answer is null."""
    return {"answer": await services.executor.ask(*asked)}


# Not remembered: a question changes nothing, and its answer is worth nothing later.
ASK = Operation("ask", "POST", read, ask)
