"""Remembers recent ids, so that a repeated request has its effect once."""

from __future__ import annotations


class RecentIds:
    """The last `limit` ids."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: dict[str, None] = {}

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._ids

    def add(self, identifier: str) -> bool:
        """Remember an id; false if it is known already."""
        if identifier in self._ids:
            return False
        self._ids[identifier] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]
        return True
