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

    None at all change nothing. A gateway asks so whether the operation is known, and another one may have opened the
    session of this worker meanwhile.
    """
    if variables:
        services.executor.set_variables(variables)
    return {"count": len(variables)}


# Not remembered: it may be repeated, and a remembered answer would keep nothing that is not kept anyway.
VARIABLES = Operation("variables", "POST", read, set_variables)
