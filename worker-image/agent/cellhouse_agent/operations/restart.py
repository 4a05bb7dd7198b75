"""POST /restart."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation, no_fields
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


async def restart(services: Services, _fields: None) -> JsonObject:
    """Replace the kernel, and answer when the fresh one is ready."""
    return {"kernel_generation": await services.executor.restart()}


RESTART = Operation("restart", "POST", no_fields, restart, is_remembered=True)
