"""GET /usage."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation, no_fields
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


async def usage(services: Services, _fields: None) -> JsonObject:
    """The container's counters."""
    counters = services.usage
    return {
        "cpu_ms": counters.cpu_ms(),
        "memory_bytes": counters.memory_bytes(),
        "memory_limit_bytes": counters.memory_limit_bytes(),
        "oom_kills": counters.oom_kills(),
    }


USAGE = Operation("usage", "GET", no_fields, usage)
