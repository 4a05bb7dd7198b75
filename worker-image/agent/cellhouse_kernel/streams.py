"""stdout and stderr, in the order written.

ipykernel keeps a buffer for each stream and sends each after 0.2 s, so lines of stdout and stderr change places and a
first line comes late. Here both streams write into the outbox, as everything else does.
"""

from __future__ import annotations

from typing import Any

from ipykernel.iostream import OutStream


class OrderedOutStream(OutStream):
    """ipykernel's stream, writing into the common outbox."""

    def write(self, string: str) -> int:
        """Send text, soon."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        thread: Any = self.pub_thread
        if thread is None:
            raise ValueError("I/O operation on closed file")
        if string:
            thread.outbox.add_text(self.name, self.parent_header.get("msg_id", ""), string)
        return len(string)

    def flush(self) -> None:
        """Send now. On return the text has left this process, and arrives even if that ends at once."""
        if self.pub_thread is not None:
            self.pub_thread.outbox.flush()
