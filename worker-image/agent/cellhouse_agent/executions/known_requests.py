"""Remembers which requests were accepted: a msg_id runs at most once."""

from __future__ import annotations

# How many executions are remembered after a gateway has stored their end. A gateway sends a request again only until it
# has stored the end, so these ids are only a safety margin.
MAX_STORED_IDS = 10_000
# Executions whose end no gateway has stored. Their status and replies are never dropped, so their number is bounded.
MAX_UNSTORED_REQUESTS = 1_024


class KnownRequests:
    """Ids of requests, from when they are accepted until long after a gateway has stored their end."""

    def __init__(self) -> None:
        self._unstored: dict[str, int | None] = {}
        self._stored = RecentIds(MAX_STORED_IDS)

    def __contains__(self, msg_id: object) -> bool:
        return msg_id in self._unstored or msg_id in self._stored

    @property
    def is_full(self) -> bool:
        """Whether no more requests may be accepted until a gateway acknowledges."""
        return len(self._unstored) >= MAX_UNSTORED_REQUESTS

    def add(self, msg_id: str) -> None:
        """Remember a request that was accepted."""
        self._unstored[msg_id] = None

    def ended(self, msg_id: str, seq: int) -> None:
        """Note the seq of this request's last frame."""
        self._unstored[msg_id] = seq

    def ack(self, seq: int) -> None:
        """A gateway has stored everything up to seq."""
        stored = [
            msg_id for msg_id, last in self._unstored.items() if last is not None and last <= seq
        ]
        for msg_id in stored:
            del self._unstored[msg_id]
            self._stored.add(msg_id)


class RecentIds:
    """The last `limit` ids, so that a repeated request has its effect once."""

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
