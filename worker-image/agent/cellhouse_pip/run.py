"""Runs pip, and says afterwards what its own messages leave open. It is a program of the user, without privileges."""

from __future__ import annotations

import os
import sys

from pip._internal.cli.main import main as pip

from cellhouse_pip.hidden import Installed
from cellhouse_pip.index import no_index_note, proxy_of

# pip's exit code when the command was understood and has failed.
FAILED = 1


def main(arguments: list[str]) -> int:
    """Run pip with these arguments; returns its exit code."""
    if not proxy_of(os.environ):
        # There is no proxy, so another attempt does not help.
        os.environ.setdefault("PIP_RETRIES", "0")
    installed = Installed()
    code = int(pip(arguments))
    note = None
    if code == 0 and "install" in arguments:
        note = installed.note()
    elif code == FAILED:
        note = no_index_note(arguments)
    if note:
        print(f"Note: {note}", file=sys.stderr, flush=True)
    return code
