"""Serves a kernel on a link: the same for a kernel that was executed and one that was forked."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import Any, NamedTuple

from cellhouse_kernel.identity import HOME
from cellhouse_kernel.no_watching import forbid_watching
from cellhouse_kernel.prepare import prepare_environment, prepare_imports

# Far more than the addresses and the key of a Jupyter connection take.
MAX_FIRST_WORD_BYTES = 4_096


class Start(NamedTuple):
    """How to serve: on the link, or where the Jupyter connection object says, if there is one."""

    link: socket.socket
    connection: dict[str, Any] | None


def wait_for_start() -> Start | None:
    """Wait for the first packet on standard input, which is the link; None if the link closes without one.

    The link has no name, so nothing can connect to it or take its place. It moves to another descriptor, which no
    program that user code starts inherits, and standard input is empty from then on.
    """
    link = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    word = link.recv(MAX_FIRST_WORD_BYTES)
    return Start(link, json.loads(word).get("connection")) if word else None


def serve_kernel(start: Start) -> None:
    """Serve a kernel until told to stop."""
    forbid_watching()
    # User code may have closed its home to itself. It needs a kernel to open it again.
    with suppress(PermissionError):
        os.chdir(HOME)
    prepare_environment()
    with prepare_imports():
        app = _jupyter_app(start.connection) if start.connection else _link_app(start.link)
        app.initialize([])
    app.start()


def _link_app(link: socket.socket) -> Any:
    from cellhouse_kernel.app import KernelApp

    app = KernelApp.instance()
    app.use_link(link)
    return app


def _jupyter_app(connection: dict[str, Any]) -> Any:
    from cellhouse_kernel.jupyter_app import JupyterApp

    app = JupyterApp.instance()
    app.connection = connection
    return app
