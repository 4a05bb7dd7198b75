"""POST /resize."""

from __future__ import annotations

from typing import NamedTuple

from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.requests import TerminalSize, identifier, size_of
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


class Resize(NamedTuple):
    """Whose terminal gets which size."""

    msg_id: str
    size: TerminalSize


def read(body: JsonObject) -> Resize:
    """Check the fields."""
    return Resize(identifier(body.get("msg_id"), "msg_id"), size_of(body))


async def resize(services: Services, fields: Resize) -> JsonObject:
    """Change the size of a command's terminal."""
    return {"known": services.executor.commands.resize(*fields)}


# Not remembered: the latest size counts.
RESIZE = Operation("resize", "POST", read, resize)
