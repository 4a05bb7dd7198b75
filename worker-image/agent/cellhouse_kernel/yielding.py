"""The priorities of user code."""

from __future__ import annotations

import os

from cellhouse_kernel.capabilities import PR_SET_DUMPABLE, prctl
from cellhouse_kernel.identity import KERNEL_NICENESS, KERNEL_OOM_SCORE


def yield_to_agent() -> None:
    """Make this process the first to be killed when memory is short, and the last to get the CPU."""
    # If it were not dumpable, the files of its /proc/self would belong to root. It is so again when it has changed its
    # user. Until then, only the agent's user could touch it.
    prctl(PR_SET_DUMPABLE, 1)
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write(str(KERNEL_OOM_SCORE))
    os.nice(KERNEL_NICENESS)
