"""`python3 -I -m cellhouse_kernel <control>`: starts a kernel by itself, without a fork server.

It must be started as root. This process becomes the kernel's reaper, whose socket to the agent is the descriptor
<control>. It forks the kernel and does not execute it: so the kernel's process stays undumpable, and other processes of
its user cannot touch it (privileges.py). The kernel's link to the agent is standard input.
"""

from __future__ import annotations

import sys

from cellhouse_kernel.forking import fork_with_reaper
from cellhouse_kernel.kernel_process import Descriptors, run_forked

LINK, OUTPUT = 0, 1


def main() -> None:
    """Serve, unless the link closes without a first packet."""
    fork_with_reaper(int(sys.argv[1]))
    run_forked(Descriptors(LINK, OUTPUT))


if __name__ == "__main__":
    main()
