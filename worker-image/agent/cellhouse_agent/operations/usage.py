"""GET /usage."""

from __future__ import annotations

import time

from cellhouse_agent.disks import disk_use
from cellhouse_agent.operations.operation import Operation, no_fields
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


async def usage(services: Services, _fields: None) -> JsonObject:
    """The container's counters, and what its disks hold. The clock tells how far apart two answers are."""
    counters, disks = services.usage, disk_use()
    return {
        "clock_ms": round(time.monotonic() * 1_000, 3),
        "cpu_ms": counters.cpu_ms(),
        "memory_bytes": counters.memory_bytes(),
        "memory_limit_bytes": counters.memory_limit_bytes(),
        "cache_bytes": counters.cache_bytes(),
        "disk_bytes": disks.used_bytes,
        "disk_limit_bytes": disks.limit_bytes,
        "oom_kills": counters.oom_kills(),
    }


USAGE = Operation("usage", "GET", no_fields, usage)
