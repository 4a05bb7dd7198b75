"""Starts a kernel by itself: `python3 -I -m cellhouse_kernel`, with its link to the agent as standard input."""

from __future__ import annotations

from cellhouse_kernel.serve import serve_kernel, wait_for_start


def main() -> None:
    """Serve, unless the link closes without a first packet."""
    start = wait_for_start()
    if start:
        serve_kernel(start)


if __name__ == "__main__":
    main()
