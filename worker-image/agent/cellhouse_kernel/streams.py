"""stdout and stderr, in the order written.

ipykernel keeps a buffer for each stream and sends each after 0.2 s, so lines of stdout and stderr change places and a
first line comes late. Here both streams write into the outbox, as everything else does.
"""

from __future__ import annotations

from typing import Any

from ipykernel.iostream import OutStream

from cellhouse_kernel.parents import unknown_thread_parent
from cellhouse_kernel.raw_output import RAW_OUTPUT

# The descriptor behind each stream: see raw_output.py.
DESCRIPTORS = {"stdout": 1, "stderr": 2}


class OrderedOutStream(OutStream):
    """ipykernel's stream, writing into the common outbox."""

    @property
    def parent_header(self) -> dict[str, Any]:
        """The header of the request that the calling thread or task works for."""
        try:
            return self._parent_header.get()
        except LookupError:
            return unknown_thread_parent(self._parent_header_global)

    @parent_header.setter
    def parent_header(self, header: dict[str, Any]) -> None:
        self._parent_header_global = header
        self._parent_header.set(header)

    def write(self, string: str) -> int:
        """Send text, soon."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        if self.pub_thread is None:
            raise ValueError("I/O operation on closed file")
        RAW_OUTPUT.take()
        if string:
            self.add(self.parent_header, string)
        return len(string)

    def add(self, parent: dict[str, Any], text: str) -> None:
        """Send text that belongs to the request with this header."""
        thread: Any = self.pub_thread
        thread.outbox.add_text(self.name, parent.get("msg_id", ""), text)

    def flush(self) -> None:
        """Send now. On return, the text has left this process, and arrives even if the process ends immediately."""
        if self.pub_thread is not None:
            RAW_OUTPUT.take()
            self.pub_thread.outbox.flush_text()

    def fileno(self) -> int:
        """The descriptor that belongs to this stream: what C code or a child writes there becomes output of it."""
        return DESCRIPTORS[self.name]
