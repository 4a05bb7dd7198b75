"""The Unix socket: HTTP and WebSocket on one path."""

from __future__ import annotations

import os
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application

from cellhouse_agent.channels import MAX_FRAME_BYTES, ChannelsHandler
from cellhouse_agent.egress.handler import egress_routes
from cellhouse_agent.files.access import FilesAccess
from cellhouse_agent.files.routes import file_routes
from cellhouse_agent.http_api import UnknownHandler, operation_routes
from cellhouse_agent.services import Services

# More than the protocol allows, so that the agent can read a frame that is somewhat too large and answer with a code.
# Beyond this, tornado sends the close code and cuts the connection.
MAX_READ_FRAME_BYTES = 4 * MAX_FRAME_BYTES
# The largest body is that of POST /variables, each of whose bytes may be escaped with six characters.
MAX_HTTP_BODY_BYTES = 1_048_576
# A gateway that was stopped keeps its connection open but answers no ping: after the timeout it counts as gone. A
# gateway that only stores output slowly has enough time to answer.
PING_SECONDS = 30.0
PING_TIMEOUT_SECONDS = 120.0
# The gateway runs as another user. The folders above the socket, on the host and in the container, keep others out.
SOCKET_MODE = 0o666


def serve(path: str, services: Services) -> Callable[[], None]:
    """Listen on `path`. Returns a function that stops listening and removes the socket.

    Raises OSError when the path cannot be bound.
    """
    application = Application(
        [
            ("/channels", ChannelsHandler, {"services": services}),
            *operation_routes(services),
            *file_routes(services.files, FilesAccess(services.boot_id)),
            *egress_routes(services),
        ],
        default_handler_class=UnknownHandler,
        websocket_max_message_size=MAX_READ_FRAME_BYTES,
        websocket_ping_interval=PING_SECONDS,
        websocket_ping_timeout=PING_TIMEOUT_SECONDS,
        log_function=lambda _handler: None,
    )
    server = HTTPServer(application, max_body_size=MAX_HTTP_BODY_BYTES)
    server.add_socket(bind_unix_socket(path, mode=SOCKET_MODE))

    def stop() -> None:
        server.stop()
        if os.path.exists(path):
            os.unlink(path)

    return stop
