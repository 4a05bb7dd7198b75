"""GET /health."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation, no_fields
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


async def health(services: Services, _fields: None) -> JsonObject:
    """Report that the agent is alive, and the state of its kernel."""
    return {"status": "ok", "boot_id": services.boot_id, "kernel": services.executor.state}


HEALTH = Operation("health", "GET", no_fields, health)
