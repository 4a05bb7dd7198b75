"""Watchers of folders: each reports the changes in its folder since it was asked last.

A watcher looks only when it is asked, so a watcher that nobody asks costs no time. An entry that appears and vanishes
between two looks is not reported.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from collections.abc import Container
from typing import NamedTuple

from cellhouse_files.refusals import Refused
from cellhouse_files.snapshots import Event, FolderScan, Snapshot, differences
from cellhouse_files.turns import Turns

MAX_WATCHERS = 16
ID_BYTES = 10


class WatchOptions(NamedTuple):
    """The options of a watcher, from the caller that makes it."""

    path: bytes
    is_recursive: bool
    # Whether events are reported with entries. An event's entry is that of the file or folder that has the event's name
    # when the event is reported.
    has_entries: bool
    # How long it is kept if nobody asks it.
    keep_seconds: float


class Watcher:
    """One watcher: its last snapshot, and the events that nobody has fetched yet. `hidden`: names that do not count."""

    def __init__(self, options: WatchOptions, hidden: Container[bytes]) -> None:
        self.options = options
        # Events are fetched from the left. A watcher looks again only when this queue is empty, so the queue does not
        # grow while nobody fetches.
        self.events: deque[Event] = deque()
        self._hidden = hidden
        self._snapshot: Snapshot = {}
        self._numbers = itertools.count(1)
        # The number of the look that the snapshot is of.
        self._newest = 0
        self._kept_until = 0.0

    @property
    def is_forgotten(self) -> bool:
        """Whether its `keep_seconds` have passed since somebody last asked it."""
        return time.monotonic() > self._kept_until

    def begin(self) -> Turns[None]:
        """Look for the first time; raises OSError or Refused."""
        self._snapshot = yield from self._scan()
        self.use()

    def look(self) -> Turns[None]:
        """Find the new events, unless there are events from before; raises OSError or Refused.

        Several callers may ask at once. The result of a look is dropped if a look that began later has ended before it,
        or if another look has meanwhile left events that nobody has fetched.
        """
        self.use()
        if self.events:
            return
        number = next(self._numbers)
        try:
            after = yield from self._scan()
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
        self._kept_until = time.monotonic() + self.options.keep_seconds

    def _scan(self) -> Turns[Snapshot]:
        scan = FolderScan(self.options.path, self.options.is_recursive, self._hidden)
        return (yield from scan.run(self._snapshot))


class Watchers:
    """All watchers of a worker, by their ids. They end with the helper.

    Keeps each watcher until it is ended, or until its `keep_seconds` have passed since somebody last asked it.
    """

    def __init__(self) -> None:
        self._watchers: dict[str, Watcher] = {}

    def add(self, watcher: Watcher) -> Turns[str]:
        """Begin a watcher; returns its id. Raises OSError or Refused."""
        self._require_room()
        yield from watcher.begin()
        self._require_room()
        # Nobody can guess the id, and a helper that replaces this one does not give it again.
        watcher_id = "w" + secrets.token_hex(ID_BYTES)
        self._watchers[watcher_id] = watcher
        return watcher_id

    def get(self, watcher_id: str) -> Watcher:
        """The watcher with this id; raises Refused."""
        self.forget_unused()
        watcher = self._watchers.get(watcher_id)
        if watcher is None:
            raise Refused("no_watcher", "There is no such watcher.")
        return watcher

    def end(self, watcher_id: str) -> None:
        """End a watcher; raises Refused."""
        self.get(watcher_id)
        del self._watchers[watcher_id]

    def forget_unused(self) -> None:
        """Drop each watcher for which `is_forgotten` holds."""
        for watcher_id in [id for id, watcher in self._watchers.items() if watcher.is_forgotten]:
            del self._watchers[watcher_id]

    def _require_room(self) -> None:
        self.forget_unused()
        if len(self._watchers) >= MAX_WATCHERS:
            raise Refused("too_many_watchers", f"There are {MAX_WATCHERS} watchers.")
