"""POST /restart."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.requests import identifier
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


def read(body: JsonObject) -> str | None:
    """Check the fields; None: the default context."""
    context_id = body.get("context_id")
    return None if context_id is None else identifier(context_id, "context_id")


async def restart(services: Services, context_id: str | None) -> JsonObject:
    """Replace a context's kernel, and answer when the fresh one is ready."""
    return {"kernel_generation": await services.executor.restart(context_id)}


RESTART = Operation("restart", "POST", read, restart, is_remembered=True)
