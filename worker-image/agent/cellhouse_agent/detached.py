"""Takes a connection away from tornado, to move bytes without copying them through it."""

from __future__ import annotations

import socket

from tornado.http1connection import HTTP1Connection
from tornado.web import RequestHandler


def detached_socket(handler: RequestHandler) -> socket.socket:
    """The handler's connection, which the caller owns. It does not block.

    Raises OSError if no descriptor is left. Then tornado still has the connection, and answers.
    """
    connection = handler.request.connection
    assert isinstance(connection, HTTP1Connection)
    stream = connection.stream
    # tornado watches and closes its own descriptor, so the caller gets a duplicate. If the client has hung up, tornado
    # has no descriptor left. Then the caller gets a new socket, over which nothing can be sent.
    taken: socket.socket = socket.socket(socket.AF_UNIX) if stream.closed() else stream.socket.dup()
    handler.detach().close()
    taken.setblocking(False)
    return taken
