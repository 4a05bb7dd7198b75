"""Whether a process has been made in this container lately: Linux tells the number that was given last."""

from __future__ import annotations

import os

# Its last word is that number. Some systems (gVisor) always say the same.
LOAD_FILE = "/proc/loadavg"
MAX_LOAD_BYTES = 128


class Births:
    """Looks for new processes and threads. Raises OSError where nothing tells of them."""

    def __init__(self) -> None:
        self._fd = os.open(LOAD_FILE, os.O_RDONLY)
        self._newest = b""

    def any(self) -> bool:
        """Whether there was one since the last look, or nothing can tell any more."""
        try:
            newest = os.pread(self._fd, MAX_LOAD_BYTES, 0).rpartition(b" ")[2]
        except OSError:
            return True
        is_known = newest == self._newest
        self._newest = newest
        return not is_known
