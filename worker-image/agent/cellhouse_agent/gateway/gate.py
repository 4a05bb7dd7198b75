"""Which gateway may speak: the one with the highest lease epoch, over one connection at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

# Close code of a connection that a newer one has replaced (docs/internals/worker-protocol.md).
SUPERSEDED_CODE = 4409


class Closable(Protocol):
    """A connection that can be closed."""

    def close(self, code: int, reason: str) -> None:
        """Close with a WebSocket code."""


class StaleEpoch(Exception):
    """The caller's lease was taken over; `highest` is the epoch that counts."""

    def __init__(self, highest: int) -> None:
        super().__init__(f"the epoch is {highest}")
        self.highest = highest


class GatewayGate:
    """Remembers the highest epoch, the connection that holds it, and since when no gateway is connected."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._highest = 0
        self._current: Closable | None = None
        self._alone_since = clock()
        self._on_takeover: list[Callable[[], None]] = []

    def on_takeover(self, react: Callable[[], None]) -> None:
        """Call `react` whenever a higher epoch than before is admitted."""
        self._on_takeover.append(react)

    def admit(self, epoch: int) -> None:
        """Let a caller with this epoch act, or raise StaleEpoch. A higher epoch closes the current connection."""
        if epoch < self._highest:
            raise StaleEpoch(self._highest)
        if epoch > self._highest:
            self._highest = epoch
            self._drop_current()
            for react in self._on_takeover:
                react()

    def attach(self, connection: Closable) -> None:
        """Make this the current connection, and close the one before."""
        self._drop_current()
        self._current = connection

    def detach(self, connection: Closable) -> None:
        """Note that this connection has ended."""
        if self._current is connection:
            self._current = None
            self._alone_since = self._clock()

    def is_current(self, connection: Closable) -> bool:
        """Whether this connection still speaks for the worker's gateway."""
        return self._current is connection

    def alone_seconds(self) -> float:
        """For how long no gateway has been connected; 0 while one is."""
        return 0.0 if self._current else self._clock() - self._alone_since

    def _drop_current(self) -> None:
        previous = self._current
        if previous:
            self._current = None
            self._alone_since = self._clock()
            previous.close(SUPERSEDED_CODE, "superseded")
