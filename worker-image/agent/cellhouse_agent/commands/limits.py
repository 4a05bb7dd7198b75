"""What ends a command early: its time limit, or somebody who interrupts it."""

from __future__ import annotations

import asyncio
from typing import Any


class Limits:
    """Those of one command. They hold from its turn on, also while its process is being made."""

    def __init__(self, timeout_ms: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_ms = timeout_ms
        self._deadline = 0.0
        self._interrupted: asyncio.Future[None] = self._loop.create_future()
        # `finished`, unless one of them has come before what was awaited last: `timeout` or `interrupted`.
        self.outcome = "finished"

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody has interrupted it."""
        return self._interrupted.done()

    def interrupt(self) -> None:
        """May be called again."""
        if not self.is_interrupted:
            self._interrupted.set_result(None)

    def begin(self) -> None:
        """Its time counts from now on."""
        self._deadline = self._loop.time() + self._timeout_ms / 1000

    async def wait(self, step: asyncio.Future[Any]) -> bool:
        """Wait for this; false if a limit comes before."""
        remaining = max(0.0, self._deadline - self._loop.time())
        awaited = (step, self._interrupted)
        await asyncio.wait(awaited, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            self.outcome = "finished"
        else:
            self.outcome = "interrupted" if self.is_interrupted else "timeout"
        return step.done()
