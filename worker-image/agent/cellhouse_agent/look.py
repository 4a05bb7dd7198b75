"""What one execution changes in the home, put together from all looks that are made while it runs."""

from __future__ import annotations

import json

from cellhouse_agent.wire import Json, JsonObject
from cellhouse_files.change_limits import MAX_CHANGES, MAX_CHANGES_BYTES

# What two changes of a path amount to, if that is not the later change. None: the file was made and removed again.
TOGETHER: dict[tuple[Json, Json], str | None] = {
    ("created", "modified"): "created",
    ("created", "deleted"): None,
    ("deleted", "created"): "modified",
}


class Look:
    """The changes during one execution. While it is open, until the report, it gets what every look finds."""

    def __init__(self, reason: str | None, is_shared: bool, api_changes: int) -> None:
        # Why it is unknown what has changed; None if it is known.
        self.reason = reason
        # Whether others may have made some of the changes.
        self.is_shared = is_shared
        # The helper's count of API changes when it was opened.
        self.began_at = api_changes
        self._changes: list[JsonObject] = []

    def lose(self, reason: str) -> None:
        """From now on, it is unknown what has changed. The first reason is kept."""
        self.reason = self.reason or reason

    def add(self, changes: list[JsonObject] | None, reason: str | None) -> None:
        """Add what a look found, or why it could not tell."""
        if changes is None:
            self.lose(reason or "")
        elif not self._changes:
            # The usual case. The helper has kept the limits.
            self._changes = changes
        else:
            self._changes = merged(self._changes, changes)
            size = len(json.dumps(self._changes))
            if len(self._changes) > MAX_CHANGES or size > MAX_CHANGES_BYTES:
                self._changes = []
                self.lose("too_many_changes")

    def report(self) -> JsonObject:
        """`files` as in docs/internals/worker-protocol.md."""
        changes: list[Json] | None = None if self.reason else [*self._changes]
        return {"changes": changes, "reason": self.reason, "shared": self.is_shared}


def merged(earlier: list[JsonObject], later: list[JsonObject]) -> list[JsonObject]:
    """The changes of two looks, one after the other, as one look would have found them. Sorted by path."""
    by_path = {str(change["path"]): change for change in earlier}
    for change in later:
        path = str(change["path"])
        before = by_path.pop(path, None)
        kinds = (before["change"] if before else None, change["change"])
        kind = TOGETHER.get(kinds, change["change"])
        if kind:
            by_path[path] = {**change, "change": kind}
    return [change for _, change in sorted(by_path.items())]
