"""Starts a kernel by itself: `python3 -I -m cellhouse_kernel`, with the connection on standard input."""

from __future__ import annotations

from cellhouse_kernel.serve import read_connection, serve_kernel


def main() -> None:
    """Serve, unless whoever started this has gone without a word."""
    connection = read_connection()
    if connection:
        serve_kernel(connection)


if __name__ == "__main__":
    main()
