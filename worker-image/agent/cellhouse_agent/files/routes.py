"""Where each handler of files is."""

from __future__ import annotations

from typing import Any

from tornado.web import RequestHandler

from cellhouse_agent.files import handlers
from cellhouse_agent.files.access import FilesAccess
from cellhouse_agent.files.archive import ArchiveHandler
from cellhouse_agent.files.content import ContentHandler
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.files.watching import EventsHandler, UnwatchHandler, WatchHandler

HANDLERS: dict[str, type[RequestHandler]] = {
    "/files/stat": handlers.StatHandler,
    "/files/list": handlers.ListHandler,
    "/files/content": ContentHandler,
    "/files/archive": ArchiveHandler,
    "/files/directory": handlers.DirectoryHandler,
    "/files/move": handlers.MoveHandler,
    "/files/delete": handlers.DeleteHandler,
    "/files/watch": WatchHandler,
    "/files/watch/events": EventsHandler,
    "/files/watch/end": UnwatchHandler,
}


def file_routes(
    helper: FilesHelper, access: FilesAccess
) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Each handler at its path."""
    parts = {"helper": helper, "access": access}
    return [(path, handler, parts) for path, handler in HANDLERS.items()]
