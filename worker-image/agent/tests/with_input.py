"""Sends input to executions in tests."""

import asyncio
from collections import Counter

from cellhouse_agent.executions.executor import Executor
from cellhouse_agent.executions.inputs import InputPart, Taken
from cellhouse_agent.gateway.operations import MAX_PART_BYTES

from tests.with_executor import PATIENCE_SECONDS


class Sender:
    """Sends input as a gateway does, and keeps count of the bytes that each execution has taken."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._accepted: Counter[str] = Counter()

    async def send(self, msg_id: str, data: bytes = b"", is_last: bool = False) -> Taken:
        """Send input, part by part, until all of it is taken, or the execution takes no more."""
        start = self._accepted[msg_id]
        end = start + len(data)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                offset = self._accepted[msg_id]
                part = data[offset - start :][:MAX_PART_BYTES]
                is_rest = offset + len(part) == end
                taken = await self._executor.inputs.take(
                    InputPart(msg_id, offset, part, is_last and is_rest)
                )
                if not taken.is_known:
                    return taken
                self._accepted[msg_id] = taken.accepted
                if taken.accepted == end or taken.is_closed:
                    return taken
