"""The priorities of user code."""

from __future__ import annotations

import os

from cellhouse_kernel.capabilities import PR_SET_DUMPABLE, prctl
from cellhouse_kernel.identity import KERNEL_NICENESS, KERNEL_OOM_SCORE


def yield_to_agent() -> None:
    """Make this process the first to be killed when memory is short, and the last to get the CPU."""
    # If it were not dumpable, the files of its /proc/self would belong to root. It stops being dumpable when it
    # changes its user. Until then, only the agent's user could touch it.
    prctl(PR_SET_DUMPABLE, 1)
    # Not as a text file: each forked process would import the encoding anew, which takes two milliseconds.
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(score, str(KERNEL_OOM_SCORE).encode())
    finally:
        os.close(score)
    os.nice(KERNEL_NICENESS)
