"""POST /variables."""

from __future__ import annotations

from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.services import Services
from cellhouse_agent.variables import checked_variables
from cellhouse_agent.wire import JsonObject


def read(body: JsonObject) -> dict[str, str]:
    """Check the fields."""
    return checked_variables(body.get("variables"))


async def set_variables(services: Services, variables: dict[str, str]) -> JsonObject:
    """Give these to the kernel before the next code, and to every kernel after it.

    Without any variable, nothing changes. A gateway sends such a request to learn whether the agent knows the
    operation. Meanwhile, another gateway may have opened the session of this worker, with variables that must stay.
    """
    if variables:
        services.executor.set_variables(variables)
    return {"count": len(variables)}


# Not remembered: repeating the request has no further effect.
VARIABLES = Operation("variables", "POST", read, set_variables)
