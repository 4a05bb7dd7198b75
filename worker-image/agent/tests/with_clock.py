"""Clocks that do not depend on how busy the machine is.

On a busy machine, a limit of some hundred milliseconds is over before code has begun. So such code has a limit of
LIMIT_MS. When the code says that it has reached the place at which the limit should hit it, the test lets the limit
pass.

A test that waits for nothing but time runs in a loop whose time passes at once.
"""

import asyncio
import selectors
from selectors import SelectorKey

# No code of a test takes this long to begin. The agent waits longer for each process of its own, so no process is
# late because of `pass_limit`.
LIMIT_MS = 20_000


def pass_limit() -> None:
    """Set the clock of this event loop forward by LIMIT_MS."""
    loop = asyncio.get_running_loop()
    before = loop.time
    # mypy would not allow an assignment to a method.
    setattr(loop, "time", lambda: before() + LIMIT_MS / 1000)


class _Hurried(selectors.DefaultSelector):
    """A selector that moves its clock to the time of the next timer instead of sleeping until then."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait only if there is no timer."""
        if timeout is not None and timeout > 0:
            self.now += timeout
            timeout = 0
        return super().select(timeout)


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers are never late and take no time. For tests that wait for no other process."""

    def __init__(self) -> None:
        self._hurried = _Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        """The sum of all waits so far."""
        return self._hurried.now
