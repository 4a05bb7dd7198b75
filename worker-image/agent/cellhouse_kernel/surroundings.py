"""What a kernel finds around it: the environment variables of its session, and the folder that it begins in.

No code of the user has run when these are called, or only earlier code. Nobody waits for an answer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress


def set_variables(variables: dict[str, str]) -> None:
    """Change the environment of this process."""
    os.environ.update(variables)
    if "TZ" in variables:
        time.tzset()


def enter_directory(path: str) -> None:
    """Let code begin there. If it is not there any more, code begins where the kernel is: in the home."""
    with suppress(OSError, ValueError):
        os.chdir(path)
