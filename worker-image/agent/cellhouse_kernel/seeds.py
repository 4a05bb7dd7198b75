"""Renews the seeds that a fork copied: two kernels must not draw the same numbers."""

from __future__ import annotations

import os
import sys
from typing import Any


def refresh_seeds() -> None:
    """Give every preloaded source of randomness a seed of its own. Python's `random` does so by itself at a fork."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random:
        numpy_random.seed()
    process: Any = sys.modules.get("multiprocessing.process")
    if process:
        # With this key, one process of user code proves to another that both belong to the same program.
        process.current_process().authkey = os.urandom(32)
