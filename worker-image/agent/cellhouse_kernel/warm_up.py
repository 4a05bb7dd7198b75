"""Formats one traceback before there is any kernel: the first one is slow, and a forked kernel's is then quick.

It imports IPython, so it is imported only within `prepare_imports`. It is small because the syntax tree of this file
stays in memory: IPython keeps the tree when it formats a traceback that goes through the file.
"""

from __future__ import annotations

import sys

from IPython.core.ultratb import AutoFormattedTB


def warm_up() -> None:
    """Format a traceback as the shell does.

    The first one loads styles and parsers and looks at every module, which takes ten times as long as the next. Without
    this, the interrupt at a time limit would have to wait for it.
    """
    formatter = AutoFormattedTB(mode="Context", color_scheme="Linux", tb_offset=1)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        formatter.structured_traceback(*sys.exc_info())
