"""Sends all messages of this process to the agent, in order and exactly once.

Code prints from any thread, from signal handlers and from forked children, and may be interrupted between any two
instructions. So each step below can be repeated: a packet that was not noted as sent is sent again under the same
number, and the agent drops repetitions (see packets.py). A send hands the packet to Linux: it arrives even if this
process is killed at the next instruction.

Messages are packed as JSON (`pack`). Any Python text gets through, even lone surrogates, at which jupyter_client would
fail and lose the message. Here the surrogate is sent as a JSON escape.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from typing import Any

from jupyter_client.jsonutil import json_clean, json_default

from cellhouse_kernel.packets import pack_parts, packets

# How long text may wait for further text. Long enough to gather a loop's prints into one message, short enough that a
# person sees no delay.
FLUSH_SECONDS = 0.005
# How many whole lines are sent immediately. They arrive whatever the code does next: crash, fill the memory, or hold
# the interpreter. One more line is allowed every FLUSH_SECONDS, as in a token bucket. So lines wait only if there are
# very many of them.
LINES_AT_ONCE = 32
# The longest text of one message, in characters. Longer text is sent as several messages, so that no single print can
# reach the agent's limit for a message.
MAX_TEXT_CHARACTERS = 65_536
# How much text may wait, in characters. If more waits, the thread that prints sends it, and waits for the agent if
# necessary.
MAX_WAITING_CHARACTERS = 262_144

# One send takes messages until it has this size: each wakes the agent.
TOGETHER_BYTES = 16_384

# The stream's name, the id of the parent, and the text; or a packed message.
Item = tuple[str, str, str] | bytes
# Index of an item, and how many characters of it were sent.
Position = tuple[int, int]

# Made once, before any user code runs: that is quicker, and code that replaces `json.dumps` does not change them.
_ENCODER = json.JSONEncoder(
    default=json_default, ensure_ascii=False, allow_nan=False, separators=(",", ":")
)
_ASCII_ENCODER = json.JSONEncoder(default=json_default, allow_nan=False, separators=(",", ":"))


def pack(message: Any) -> bytes:
    """One part of a message, as JSON."""
    try:
        return _dump(message)
    except (TypeError, ValueError):
        # User code may give display data that is not JSON (NaN, bytes): it is cleaned as jupyter_client does it.
        return _dump(json_clean(message))


def _dump(message: Any) -> bytes:
    try:
        return _ENCODER.encode(message).encode()
    except UnicodeEncodeError:
        return _ASCII_ENCODER.encode(message).encode("ascii")


def pack_message(
    channel: bytes,
    msg_type: str,
    parent_id: str,
    content: bytes,
    metadata: bytes = b"{}",
    buffers: tuple[bytes, ...] = (),
) -> bytes:
    """A message for the agent; `content` and `metadata` are JSON."""
    parent = parent_id.encode("utf-8", "surrogatepass")
    return pack_parts((channel, msg_type.encode(), parent, metadata, content, *buffers))


def next_message(batch: list[Item], start: Position) -> tuple[bytes, Position]:
    """The message at `start`, and where the next begins. Texts of one stream and execution are joined."""
    index, offset = start
    first = batch[index]
    if isinstance(first, bytes):
        return first, (index + 1, 0)
    name, parent_id, _ = first
    room = MAX_TEXT_CHARACTERS
    texts: list[str] = []
    while room and index < len(batch):
        item = batch[index]
        if isinstance(item, bytes) or item[0] != name or item[1] != parent_id:
            break
        text = item[2][offset : offset + room] if offset or len(item[2]) > room else item[2]
        texts.append(text)
        room -= len(text)
        offset += len(text)
        if offset == len(item[2]):
            index, offset = index + 1, 0
    content = pack({"name": name, "text": "".join(texts)})
    return pack_message(b"iopub", "stream", parent_id, content), (index, offset)


def next_messages(batch: list[Item], start: Position) -> tuple[bytes, Position]:
    """The next message with the small ones after it, and where the rest begins."""
    data, position = next_message(batch, start)
    while len(data) < TOGETHER_BYTES and position[0] < len(batch):
        item = batch[position[0]]
        if isinstance(item, bytes) and len(item) > TOGETHER_BYTES:
            break
        more, position = next_message(batch, position)
        data += more
    return data, position


class Outbox:
    """The sending side of the link to the agent."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._timer = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_CLOEXEC)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin with an empty outbox: a forked child must not send its parent's text again, nor wait for its locks."""
        # Reentrant: a signal handler, or a `__del__`, may print while this very thread sends.
        self._lock = threading.RLock()
        self._sender = os.getpid()
        self._late: threading.Thread | None = None
        self._pending: list[Item] = []
        self._waiting_characters = 0
        self._lines_at_once = float(LINES_AT_ONCE)
        self._line_at = 0.0
        self._timer_until = 0.0
        self._is_sending = False
        self._batch: list[Item] | None = None
        self._position: Position = (0, 0)
        # The bytes that are being sent, the number of their first packet, and the position after them.
        self._messages: tuple[bytes, int, Position] | None = None
        self._sent_number = 0

    @property
    def lock(self) -> threading.RLock:
        """The lock held while text is added or sent. Its holder can add several texts with none in between."""
        return self._lock

    def start(self) -> None:
        """Start the late thread, which sends waiting items after FLUSH_SECONDS. A forked child sends line by line."""
        self._late = threading.Thread(target=self._send_late, name="IOPub", daemon=True)
        self._late.start()

    def add_text(self, name: str, parent_id: str, text: str) -> None:
        """Send text within FLUSH_SECONDS; immediately if it is a line that need not wait, or too much text waits."""
        with self._lock:
            self._waiting_characters += len(text)
            self._pending.append((name, parent_id, text))
            now = time.monotonic()
            is_line_due = text[-1] == "\n" and self._may_leave(now)
            is_full = self._waiting_characters > MAX_WAITING_CHARACTERS
            # A forked child has no late thread: it sends line by line.
            is_child_line = not self._late and "\n" in text
            if is_line_due or is_full or is_child_line:
                self.flush()
            elif self._late:
                self._send_soon(now)

    def _may_leave(self, now: float) -> bool:
        """Whether a line may be sent immediately; if so, it is counted."""
        earned = (now - self._line_at) / FLUSH_SECONDS
        self._lines_at_once = min(LINES_AT_ONCE, self._lines_at_once + earned)
        self._line_at = now
        if self._lines_at_once < 1:
            return False
        self._lines_at_once -= 1
        return True

    def add_message(self, message: bytes, can_wait: bool = False) -> None:
        """Send a message after everything added before it: now or, if it can wait, soon, with later messages."""
        with self._lock:
            self._pending.append(message)
            if can_wait and self._late:
                self._send_soon(time.monotonic())
            else:
                self.flush()
                self._spare_late()

    def hold(self, message: bytes) -> None:
        """Keep a message without sending it. The caller must add another one right away; both are then sent."""
        with self._lock:
            self._pending.append(message)

    def flush_text(self) -> None:
        """Send everything if text waits. If only messages wait, they keep waiting."""
        if self._waiting_characters or self._batch is not None:
            self.flush()

    def flush(self) -> None:
        """Send everything that waits. On return it has left this process, unless this thread is already sending."""
        if not self._pending and self._batch is None:
            return
        with self._lock:
            if self._is_sending:
                return
            try:
                self._is_sending = True
                self._send_all()
            finally:
                self._is_sending = False

    def _send_all(self) -> None:
        # Keep this loop out of `flush`. CPython checks for interrupts when a loop jumps back to its start, and an
        # interrupt there could skip the ends of `with` and `finally` in the same function.
        while self._pending or self._batch is not None:
            self._send_batch(self._next_batch())
            self._batch = None

    def _send_soon(self, now: float) -> None:
        if now >= self._timer_until:
            os.timerfd_settime(self._timer, initial=FLUSH_SECONDS)
            self._timer_until = now + FLUSH_SECONDS

    def _spare_late(self) -> None:
        """Let the late thread sleep on if it has nothing left to send: a wake-up costs more than setting the timer."""
        if self._timer_until and not self._pending:
            # In this order, an interrupt in between makes the thread wake for nothing, but never sleep too long.
            self._timer_until = 0.0
            os.timerfd_settime(self._timer, initial=0)

    def _next_batch(self) -> list[Item]:
        """Take the items that wait, or those that an exception left unsent."""
        if self._batch is None:
            self._messages = None
            self._position = (0, 0)
            self._waiting_characters = 0
            self._batch = self._pending
        if self._batch is self._pending:
            self._pending = []
        return self._batch

    def _send_batch(self, batch: list[Item]) -> None:
        while self._position[0] < len(batch):
            if self._messages is None:
                data, after = next_messages(batch, self._position)
                self._messages = (data, self._sent_number + 1, after)
            data, first_number, after = self._messages
            for number, packet in packets(data, self._sender, first_number):
                if number > self._sent_number:
                    self._link.send(packet)
                    self._sent_number = number
            self._position = after
            self._messages = None

    def _send_late(self) -> None:
        while True:
            os.read(self._timer, 8)
            self.flush()
