"""The routes of docs/internals/worker-protocol.md, "Watchers"."""

from __future__ import annotations

from cellhouse_agent.files.handlers import FilesHandler
from cellhouse_agent.wire import MalformedMessage

# How long a watcher is kept while nobody asks it: the default, and the most that a caller may demand.
KEEP_MS = 3_600_000
MAX_KEEP_MS = 86_400_000


class WatchHandler(FilesHandler):
    """POST /files/watch."""

    async def post(self) -> None:
        """Watch a folder."""
        query = self.query
        keep_ms = query.number("keep_ms", KEEP_MS, minimum=1)
        if keep_ms > MAX_KEEP_MS:
            raise MalformedMessage(f"keep_ms must be at most {MAX_KEEP_MS}")
        flags = {name: query.flag(name) for name in ("recursive", "entries")}
        await self.tell("make_watcher", {"path": query.path(), "keep_ms": keep_ms, **flags})


class EventsHandler(FilesHandler):
    """POST /files/watch/events: a POST, since each event is reported only once."""

    async def post(self) -> None:
        """What has happened since the last answer."""
        await self.tell_memory("tell_events", {"watcher": self.query.identifier("watcher")})


class UnwatchHandler(FilesHandler):
    """POST /files/watch/end."""

    async def post(self) -> None:
        """Watch a folder no more."""
        await self.tell("end_watcher", {"watcher": self.query.identifier("watcher")})
