"""The ends of pipes that user code gets as its standard input and outputs."""

from __future__ import annotations

import os
from contextlib import suppress

# These modes are for every user, since the pipes belong to the agent's user.
TO_READ = 0o444
TO_WRITE = 0o222


def open_to_user(end: int, mode: int) -> None:
    """Let user code open its end of a pipe as /dev/stdin or /dev/stdout, in this direction only.

    gVisor cannot change the mode of a pipe: there user code can use only the descriptor.
    """
    with suppress(PermissionError):
        os.fchmod(end, mode)
