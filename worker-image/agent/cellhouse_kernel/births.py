"""Tells whether a process was made in this container lately: Linux shows the process id that it gave out last."""

from __future__ import annotations

import os

# The last word of this file is the newest process id. Some systems (gVisor) always show the same id.
LOAD_FILE = "/proc/loadavg"
MAX_LOAD_BYTES = 128


class Births:
    """Notices new processes and threads. Raises OSError where the system does not show them."""

    def __init__(self) -> None:
        self._fd = os.open(LOAD_FILE, os.O_RDONLY)
        self._newest = b""

    @property
    def are_shown(self) -> bool:
        """Whether the system shows the id at all. gVisor always shows 0."""
        return self._read().strip() not in (b"", b"0")

    def close(self) -> None:
        """Close the file. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def any(self) -> bool:
        """Whether a process or thread was made since the last call; also true if the file can no longer be read."""
        try:
            newest = self._read()
        except OSError:
            return True
        is_known = newest == self._newest
        self._newest = newest
        return not is_known

    def _read(self) -> bytes:
        return os.pread(self._fd, MAX_LOAD_BYTES, 0).rpartition(b" ")[2]
