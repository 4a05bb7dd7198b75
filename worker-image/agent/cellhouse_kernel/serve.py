"""Serves a kernel on its link: the same for a kernel that was executed and one that was forked."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from cellhouse_kernel.identity import HOME
from cellhouse_kernel.no_watching import forbid_watching
from cellhouse_kernel.prepare import prepare_environment, prepare_imports


def wait_for_start() -> socket.socket | None:
    """Wait for a first packet on standard input, which is the link; None if the link closes without one.

    The link has no name, so nothing can connect to it or take its place. It moves to another descriptor, which no
    program that user code starts inherits, and standard input is empty from then on.
    """
    link = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return link if link.recv(1) else None


def serve_kernel(link: socket.socket) -> None:
    """Serve a kernel until told to stop."""
    forbid_watching()
    # User code may have lost access to its own home. It needs a kernel to restore that.
    with suppress(PermissionError):
        os.chdir(HOME)
    prepare_environment()
    with prepare_imports():
        from cellhouse_kernel.app import KernelApp

        app = KernelApp.instance()
        app.use_link(link)
        app.initialize([])
    app.start()
