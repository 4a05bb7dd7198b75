"""All watchers of a worker, by their ids. They end with the helper."""

from __future__ import annotations

import secrets

from cellhouse_files.refusals import Refused
from cellhouse_files.turns import Turns
from cellhouse_files.watchers.watcher import Watcher

MAX_WATCHERS = 16
ID_BYTES = 10


class Watchers:
    """Keeps each watcher until it is ended, or until nobody has asked it for its `keep_seconds`."""

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
        """Drop those that nobody has asked for too long."""
        for watcher_id in [id for id, watcher in self._watchers.items() if watcher.is_forgotten]:
            del self._watchers[watcher_id]

    def _require_room(self) -> None:
        self.forget_unused()
        if len(self._watchers) >= MAX_WATCHERS:
            raise Refused("too_many_watchers", f"There are {MAX_WATCHERS} watchers.")
