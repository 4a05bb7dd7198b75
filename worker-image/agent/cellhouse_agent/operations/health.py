"""GET /health."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation, no_fields
from cellhouse_agent.services import Services
from cellhouse_agent.wire import Json, JsonObject

# A gateway may use these features only if they are listed: an older agent would ignore its request.
FEATURES = ("processes",)
# Listed only if the agent has egress: a listener for code, and streams of the gateway behind it.
EGRESS_FEATURE = "egress"


async def health(services: Services, _fields: None) -> JsonObject:
    """Report that the agent is alive, and the state of its kernels."""
    contexts: list[Json] = [*services.executor.contexts.told()]
    return {
        "status": "ok",
        "boot_id": services.boot_id,
        "kernel": services.executor.state,
        "features": [*FEATURES, *([EGRESS_FEATURE] if services.egress else [])],
        "contexts": contexts,
        "kernel_info": services.executor.kernel_facts,
    }


HEALTH = Operation("health", "GET", no_fields, health)
