"""What ends a command early: its time limit, or somebody who interrupts it."""

from __future__ import annotations

import asyncio
import signal
from typing import Any


class Limits:
    """The limits of one command. They apply from its turn on, even while its process is being made."""

    def __init__(self, timeout_ms: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_ms = timeout_ms
        self._deadline = 0.0
        self._interrupted: asyncio.Future[None] = self._loop.create_future()
        self._killed = asyncio.Event()
        # The signal that its processes get first.
        self.signal: signal.Signals = signal.SIGINT
        # `timeout` or `interrupted` if that ended the last wait; otherwise `finished`.
        self.outcome = "finished"

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody has interrupted it."""
        return self._interrupted.done()

    def interrupt(self, number: signal.Signals) -> None:
        """Interrupt the command with this signal. May be called again: SIGKILL then ends the grace time."""
        if number == signal.SIGKILL:
            self._killed.set()
        if not self.is_interrupted:
            self.signal = number
            self._interrupted.set_result(None)

    def begin(self) -> None:
        """Its time counts from now on."""
        self._deadline = self._loop.time() + self._timeout_ms / 1000

    async def wait(self, step: asyncio.Future[Any]) -> bool:
        """Wait for this step; false if the time limit or an interrupt comes first."""
        remaining = max(0.0, self._deadline - self._loop.time())
        awaited = (step, self._interrupted)
        await asyncio.wait(awaited, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            self.outcome = "finished"
        else:
            self.outcome = "interrupted" if self.is_interrupted else "timeout"
        return step.done()

    async def give_grace(self, exit_watch: asyncio.Future[None], grace_ms: int) -> None:
        """Return when `exit_watch` is done, the grace time is over, or SIGKILL was asked for."""
        killing = asyncio.ensure_future(self._killed.wait())
        try:
            watches: list[asyncio.Future[Any]] = [exit_watch, killing]
            grace_seconds = grace_ms / 1000
            await asyncio.wait(watches, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            killing.cancel()
