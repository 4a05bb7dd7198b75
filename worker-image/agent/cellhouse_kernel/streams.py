"""stdout and stderr as one ordered queue of text.

ipykernel keeps a buffer for each stream and sends each after 0.2 s, so lines of stdout and stderr change places and a
first line comes late. Here both streams write into one queue, which is sent in the order written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

from ipykernel.iostream import OutStream

# How long text may wait to be sent with what follows. Long enough to gather a loop's prints into one message, short
# enough that a person sees no delay.
FLUSH_INTERVAL_SECONDS = 0.005
# The longest text of one message, in characters. Longer text goes as several, so that no single print can reach the
# agent's limit for a message.
MAX_MESSAGE_CHARACTERS = 65_536
# Text that may wait to be sent. A loop that prints faster than it can be sent then waits, and does not fill the memory.
MAX_WAITING_CHARACTERS = 4_194_304

Chunk = tuple["OrderedOutStream", dict[str, Any], str]


class OutputQueue:
    """Text of all streams of this process, in the order written."""

    def __init__(self) -> None:
        self.reset()
        os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        """Forget what is waiting: a forked child must not send its parent's text again, nor wait for its lock."""
        self.lock = threading.Lock()
        self.chunks: list[Chunk] = []
        self.waiting_characters = 0
        self.is_flush_pending = False

    def add(self, chunk: Chunk) -> bool:
        """Append a chunk; true when the caller must see to it that a flush comes."""
        with self.lock:
            self.chunks.append(chunk)
            self.waiting_characters += len(chunk[2])
            must_schedule = not self.is_flush_pending
            self.is_flush_pending = True
            return must_schedule

    def take(self) -> list[Chunk]:
        """Take everything that waits."""
        with self.lock:
            chunks, self.chunks = self.chunks, []
            self.waiting_characters = 0
            self.is_flush_pending = False
            return chunks


# One for the process: there is one stdout and one stderr, and their order is what this is about.
QUEUE = OutputQueue()


def merge(chunks: list[Chunk]) -> Iterator[Chunk]:
    """Join neighbours of the same stream and execution, and cut what is too long for one message."""
    start = 0
    while start < len(chunks):
        stream, parent, _ = chunks[start]
        end = start + 1
        while end < len(chunks) and chunks[end][0] is stream and chunks[end][1] == parent:
            end += 1
        text = "".join(chunk[2] for chunk in chunks[start:end])
        for offset in range(0, len(text), MAX_MESSAGE_CHARACTERS):
            yield stream, parent, text[offset : offset + MAX_MESSAGE_CHARACTERS]
        start = end


class OrderedOutStream(OutStream):
    """ipykernel's stream, writing into the common queue."""

    def write(self, string: str) -> int:
        """Queue text; it leaves within FLUSH_INTERVAL_SECONDS."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        if self.pub_thread is None:
            raise ValueError("I/O operation on closed file")
        if not string:
            return 0
        must_schedule = QUEUE.add((self, self.parent_header, string))
        if not self._is_master_process():
            # A forked child has no IO thread; it sends at once, through its parent.
            self.pub_thread.schedule(self._flush)
        elif must_schedule:
            self.pub_thread.schedule(self._flush_soon)
        if QUEUE.waiting_characters > MAX_WAITING_CHARACTERS:
            self.flush()
        return len(string)

    def flush(self) -> None:
        """Send what is queued, and return once it was handed to ZeroMQ. With nothing queued it costs nothing."""
        if QUEUE.chunks:
            super().flush()

    def _flush_soon(self) -> None:
        self._io_loop.call_later(FLUSH_INTERVAL_SECONDS, self._flush)

    def _flush(self) -> None:
        """Send everything queued, whichever stream it is of (in the IO thread)."""
        for stream, parent, text in merge(QUEUE.take()):
            stream.send_text(parent, text)

    def send_text(self, parent: dict[str, Any], text: str) -> None:
        """Send one `stream` message, through the hooks that user code may have registered."""
        # The IO thread is what makes sending after a fork safe, not the session's own check of the process id.
        self.session.pid = os.getpid()
        message = self.session.msg("stream", {"name": self.name, "text": text}, parent=parent)
        for hook in self._hooks:
            message = hook(message)
            if message is None:
                return
        self.session.send(self.pub_thread, message, ident=self.topic)
