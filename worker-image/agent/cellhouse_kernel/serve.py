"""From a connection to a serving kernel: the same for a kernel that was executed and one that was forked."""

from __future__ import annotations

import json
import os
from typing import Any

from cellhouse_kernel.prepare import prepare_environment, prepare_imports

HOME = "/workspace"


def read_connection() -> dict[str, Any] | None:
    """The Jupyter connection object on standard input, None if there was nothing; standard input is empty from then on.

    It comes through a pipe and not through a file, an argument or the environment: nothing is left on a disk that user
    code may fill, and no other process can read the key.
    """
    text = b""
    while data := os.read(0, 65_536):
        text += data
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return dict(json.loads(text)) if text else None


def serve_kernel(connection: dict[str, Any]) -> None:
    """Serve a kernel on this connection until told to stop."""
    os.chdir(HOME)
    prepare_environment()
    with prepare_imports():
        from cellhouse_kernel.app import KernelApp

        app = KernelApp.instance()
        app.use_connection(connection)
        app.initialize([])
    app.start()
