"""One watcher: its last snapshot, and the events that nobody has fetched yet.

It looks when it is asked, and only then, so a watcher that nobody asks costs no time. What comes and goes between two
looks is not told.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Container
from typing import NamedTuple

from cellhouse_files.turns import Turns
from cellhouse_files.watchers.differences import Event, differences
from cellhouse_files.watchers.snapshot import Look, Snapshot


class Wish(NamedTuple):
    """The options of a watcher, from the caller that makes it."""

    path: bytes
    is_recursive: bool
    # Whether an event is reported together with the entry that has the event's name at the time of the report.
    has_entries: bool
    # How long it is kept if nobody asks it.
    keep_seconds: float


class Watcher:
    """Watches one folder. `hidden`: names that do not count."""

    def __init__(self, wish: Wish, hidden: Container[bytes]) -> None:
        self.wish = wish
        # Events are fetched from the left. While some are left, there is no other look, so they are at most those of
        # one look.
        self.events: deque[Event] = deque()
        self._hidden = hidden
        self._snapshot: Snapshot = {}
        self._numbers = itertools.count(1)
        # The number of the look that the snapshot is of.
        self._newest = 0
        self._kept_until = 0.0

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody has asked it for too long."""
        return time.monotonic() > self._kept_until

    def begin(self) -> Turns[None]:
        """Look for the first time; raises OSError or Refused."""
        self._snapshot = yield from self._look_at_all()
        self.use()

    def look(self) -> Turns[None]:
        """Find out what has happened, unless there are events from before; raises OSError or Refused.

        If several callers ask at once, the look that began last counts, and what the others saw is dropped.
        """
        self.use()
        if self.events:
            return
        number = next(self._numbers)
        try:
            after = yield from self._look_at_all()
        except (FileNotFoundError, NotADirectoryError):
            # The folder is gone, with all that was in it.
            after = {}
        self.use()
        if number > self._newest and not self.events:
            self._newest = number
            self.events.extend(differences(self._snapshot, after))
            self._snapshot = after

    def take(self, limit: int) -> list[Event]:
        """The oldest events that nobody has fetched yet."""
        return [self.events.popleft() for _ in range(min(limit, len(self.events)))]

    def give_back(self, events: list[Event]) -> None:
        """Put these events back: they were not reported after all."""
        self.events.extendleft(reversed(events))

    def use(self) -> None:
        """Keep the watcher for another `keep_seconds`, since somebody asks it."""
        self._kept_until = time.monotonic() + self.wish.keep_seconds

    def _look_at_all(self) -> Turns[Snapshot]:
        look = Look(self.wish.path, self.wish.is_recursive, self._hidden)
        return (yield from look.run(self._snapshot))
