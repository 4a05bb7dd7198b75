"""Takes a connection away from tornado, to move bytes without copying them through it."""

from __future__ import annotations

import socket

from tornado.web import RequestHandler


def detached_socket(handler: RequestHandler) -> socket.socket:
    """The handler's connection, which the caller owns. It does not block."""
    stream = handler.detach()
    # tornado watches its own descriptor, and closes it. It has none if the caller has hung up already: then nothing can
    # be sent over this one.
    taken: socket.socket = socket.socket(socket.AF_UNIX) if stream.closed() else stream.socket.dup()
    stream.close()
    taken.setblocking(False)
    return taken
