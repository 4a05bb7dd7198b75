"""Clocks that do not depend on how busy the machine is.

A limit of some hundred milliseconds is over before code has begun if the machine is busy. So such code has a limit of
LIMIT_MS, and its test lets that pass when the code says that it is where the limit is to hit it.

What waits for nothing but time runs in a loop whose time passes at once.
"""

import asyncio
import selectors
from selectors import SelectorKey

# No code of a test takes so long to begin. The agent waits longer for each process of its own, so none of them is late
# because of `pass_limit`.
LIMIT_MS = 20_000


def pass_limit() -> None:
    """From now on, it is LIMIT_MS later for all that waits in this event loop."""
    loop = asyncio.get_running_loop()
    before = loop.time
    # mypy takes the clock for a method that stays what it is.
    setattr(loop, "time", lambda: before() + LIMIT_MS / 1000)


class _Hurried(selectors.DefaultSelector):
    """Where another would sleep until the next timer, it says that the time has come."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait only if there is no timer."""
        if timeout is not None and timeout > 0:
            self.now += timeout
            timeout = 0
        return super().select(timeout)


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop in which no timer is late, and none takes any time. For what waits for no other process."""

    def __init__(self) -> None:
        self._hurried = _Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        """What has passed is the sum of all waits."""
        return self._hurried.now
