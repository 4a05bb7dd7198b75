"""POST /contexts."""

from __future__ import annotations

from cellhouse_agent.files.helper import FileRefused
from cellhouse_agent.operations.operation import Operation
from cellhouse_agent.requests import Context, context_of
from cellhouse_agent.services import Services
from cellhouse_agent.wire import JsonObject


def read(body: JsonObject) -> Context:
    """Check the fields."""
    return context_of(body.get("context_id"), body.get("working_directory"))


async def create_context(services: Services, context: Context) -> JsonObject:
    """Make a context, unless it is there, and answer when its kernel is ready. Raises FileRefused."""
    if context.working_directory is not None:
        look = {"path": context.working_directory, "follow": True}
        answer = await services.files.ask("stat", look)
        if answer.fields["kind"] != "directory":
            raise FileRefused("not_a_directory", "The working directory is no folder.")
    return {"kernel_generation": await services.executor.contexts.create(context)}


# Not remembered: a context that is there is not made again.
CONTEXTS = Operation("contexts", "POST", read, create_context)
