"""Knows whether the end of a kernel or command was a kill for lack of memory.

Linux counts such kills for the whole container, and does not say whom they hit. It counts each before it kills. So an
end by SIGKILL that the agent did not send takes one count, if there is a new one, and each count explains one end.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable

from cellhouse_agent.usage import Usage

# How long a count waits for the end that it explains: Linux frees the memory of the process first. An older count
# belongs to another process.
MAX_AGE_SECONDS = 2.0


class OomLedger:
    """The counts that explain no end yet. Call `look` now and then, so that the age of each count is known."""

    def __init__(self, usage: Usage, clock: Callable[[], float] = time.monotonic) -> None:
        self._usage = usage
        self._clock = clock
        self._known = usage.oom_kills()
        # When each count was seen first.
        self._unused: deque[float] = deque()

    def look(self) -> None:
        """Note new kills."""
        now, kills = self._clock(), self._usage.oom_kills()
        self._unused.extend([now] * (kills - self._known))
        self._known = kills
        while self._unused and self._unused[0] < now - MAX_AGE_SECONDS:
            self._unused.popleft()

    def forget(self) -> None:
        """Forget the kills until now: they explain no later end."""
        self._known = self._usage.oom_kills()
        self._unused.clear()

    def explains(self, exit_code: int | None) -> bool:
        """Whether a process with this exit code was killed because memory ran out. Call it once for each end.

        Without an exit code (reaper.py), such a kill is the likelier reason.
        """
        if exit_code not in (-signal.SIGKILL, None):
            return False
        self.look()
        if not self._unused:
            return False
        self._unused.popleft()
        return True
