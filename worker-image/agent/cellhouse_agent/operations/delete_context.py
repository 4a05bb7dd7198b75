"""POST /delete_context."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.requests import identifier
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


def read(body: JsonObject) -> str:
    """Check the fields."""
    return identifier(body.get("context_id"), "context_id")


async def delete_context(services: Services, context_id: str) -> JsonObject:
    """End a context for ever, and answer when all its processes have ended."""
    return {"deleted": await services.executor.contexts.delete(context_id)}


DELETE_CONTEXT = Operation("delete_context", "POST", read, delete_context, is_remembered=True)
