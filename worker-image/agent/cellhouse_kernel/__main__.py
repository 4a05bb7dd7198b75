"""Starts the kernel: `python3 -I -m cellhouse_kernel`, with the connection as one JSON object on standard input.

The connection comes through a pipe and not through a file, an argument or the environment: nothing is left on a disk
that user code may fill, and no other process can read the key.
"""

from __future__ import annotations

import json
import os
import sys

from cellhouse_kernel.prepare import prepare_environment, prepare_imports


def main() -> None:
    """Read the connection, get the process ready, and serve until told to stop."""
    connection = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.chdir("/workspace")
    prepare_environment()
    with prepare_imports():
        from cellhouse_kernel.app import KernelApp

        app = KernelApp.instance()
        app.use_connection(connection)
        app.initialize([])
    app.start()


if __name__ == "__main__":
    main()
