"""From a link to a serving kernel: the same for a kernel that was executed and one that was forked."""

from __future__ import annotations

import os
import socket

from cellhouse_kernel.prepare import prepare_environment, prepare_imports

HOME = "/workspace"
MAX_FIRST_WORD_BYTES = 64


def take_link() -> socket.socket | None:
    """The link that is standard input, once the agent has said a first word on it; None if it never did.

    It has no name, so nothing can connect to it or take its place. It moves to another descriptor, which no program
    that user code starts gets, and standard input is empty from then on.
    """
    link = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return link if link.recv(MAX_FIRST_WORD_BYTES) else None


def serve_kernel(link: socket.socket) -> None:
    """Serve a kernel on this link until told to stop."""
    os.chdir(HOME)
    prepare_environment()
    with prepare_imports():
        from cellhouse_kernel.app import KernelApp

        app = KernelApp.instance()
        app.use_link(link)
        app.initialize([])
    app.start()
