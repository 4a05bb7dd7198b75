"""All operations. The gateway's own table is `src/kernel/agent/operations.ts`."""

from __future__ import annotations

from typing import Any

from cellhouse_agent.operations.ask import ASK
from cellhouse_agent.operations.contexts import CONTEXTS
from cellhouse_agent.operations.delete_context import DELETE_CONTEXT
from cellhouse_agent.operations.health import HEALTH
from cellhouse_agent.operations.input import INPUT
from cellhouse_agent.operations.interrupt import INTERRUPT
from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.operations.resize import RESIZE
from cellhouse_agent.operations.restart import RESTART
from cellhouse_agent.operations.usage import USAGE
from cellhouse_agent.operations.variables import VARIABLES

OPERATIONS: tuple[Operation[Any], ...] = (
    ASK,
    CONTEXTS,
    DELETE_CONTEXT,
    HEALTH,
    INPUT,
    INTERRUPT,
    RESIZE,
    RESTART,
    USAGE,
    VARIABLES,
)
