"""One execution: turns what the kernel says about it into frames, within the limits of its request.

States: sent -> started (the kernel's `busy`) -> done (its `idle`, with the key) -> finished (frames written).

User code can forge any message of its kernel, even `idle` and a reply. So the execution ends only with the `idle` that
has a key, which the kernel hides from the code. Until then, output is kept.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable

from cellhouse_agent.frames import FrameWriter
from cellhouse_agent.outputs import (
    OUTPUT_TYPES,
    check_output,
    cut_utf8,
    dropped_bytes,
    split_utf8,
    utf8,
)
from cellhouse_agent.reply import bounded_reply, is_exit_reply, made_reply
from cellhouse_agent.requests import ExecuteRequest
from cellhouse_agent.wire import JsonObject, KernelMessage, MalformedMessage, dump

# A kernel that has not said `busy` after this time counts as stuck. Then a leftover of an earlier execution keeps it
# busy: code that only pretended to be over, or a task that never yields. MAX_BUSY_SHARE of the time limit applies
# instead, if that is shorter.
MAX_BUSY_SECONDS = 1.0
MAX_BUSY_SHARE = 0.5
# Long enough that nobody can guess the key.
KEY_BYTES = 16


class Execution:
    """Collects one execution's messages."""

    def __init__(
        self,
        request: ExecuteRequest,
        writer: FrameWriter,
        clock: Callable[[], float],
    ) -> None:
        self.request = request
        self._writer = writer
        self._parent = dump(request.header)
        self.end_key = secrets.token_hex(KEY_BYTES)
        # Time counts from when the request is sent to a ready kernel. So nobody waits longer than the limit, even if a
        # leftover keeps the kernel busy.
        limit = request.timeout_ms / 1000
        self.stuck_at = clock() + min(MAX_BUSY_SECONDS, MAX_BUSY_SHARE * limit)
        self.deadline = clock() + limit
        self.started_at: float | None = None
        self.is_done = False
        self.is_interruptible = False
        self.wants_exit = False
        # The kernel says that threads or tasks of earlier code ran in it, too.
        self.has_other_code = False
        # It says that threads or tasks still run in it, now that this code has ended.
        self.leaves_code = False
        self.reply: JsonObject | None = None
        self.output_bytes = 0
        self._kept_bytes = 0
        self._stopped_by: str | None = None
        self._dropped_bytes: Counter[str] = Counter()
        self._dropped_messages: Counter[str] = Counter()

    @property
    def dropped_bytes(self) -> int:
        """Output that was not kept."""
        return self._dropped_bytes.total()

    def accept(self, channel: str, message: KernelMessage) -> None:
        """Take a message whose parent is this execution."""
        if channel == "shell":
            if message.msg_type == "execute_reply" and self.reply is None:
                is_too_large = message.size_bytes > self._writer.max_message_bytes
                self.wants_exit = is_exit_reply(message.content)
                self.reply = (
                    made_reply("KernelError", "The kernel's reply was too large")
                    if is_too_large
                    else bounded_reply(message.content)
                )
        elif message.msg_type == "status":
            self._accept_status(message.content)
        elif self.is_done:
            # A thread of the code still prints after the end. Its output is ignored.
            return
        elif message.msg_type == "execute_input":
            self.is_interruptible = True
        elif message.msg_type in OUTPUT_TYPES:
            self.start()
            self._accept_output(message)

    def _accept_status(self, content: JsonObject) -> None:
        state = content.get("execution_state")
        if state == "busy":
            self.start()
        elif state == "idle" and content.get("end_key") == self.end_key:
            self.is_done = True
            self.has_other_code = content.get("has_other_code") is True
            self.leaves_code = content.get("leaves_code") is True

    def start(self) -> None:
        """Write `busy`, once. The executor calls this, too: the kernel may end before it has sent its own `busy`."""
        if self.started_at is None:
            self.started_at = time.time() * 1000
            self._writer.status("busy", self._parent)

    def _accept_output(self, message: KernelMessage) -> None:
        if message.size_bytes > self._writer.max_message_bytes:
            self.output_bytes += message.size_bytes
            self._drop("message_too_large", message.size_bytes)
            return
        try:
            content = check_output(message.msg_type, message.content)
            if message.msg_type == "stream":
                self._keep_stream(str(content["name"]), utf8(str(content["text"])))
            else:
                body = dump(content)
                self._keep(message.msg_type, body, len(body))
                self._count_cut(dropped_bytes(message.content))
        except MalformedMessage:
            self.output_bytes += message.size_bytes
            self._drop("malformed", message.size_bytes)

    def _count_cut(self, size: int) -> None:
        """Count the bytes that the kernel cut from an output because no message could have held them."""
        if size:
            self.output_bytes += size
            self._drop("message_too_large", size)

    def _keep_stream(self, name: str, data: bytes) -> None:
        """Keep the beginning that fits the limit; drop the rest."""
        head = cut_utf8(data, self._room())
        for piece in split_utf8(head):
            self._keep("stream", dump({"name": name, "text": piece}), len(utf8(piece)))
        if len(head) < len(data):
            self.output_bytes += len(data) - len(head)
            self._stop_keeping("output_limit", len(data) - len(head))

    def _room(self) -> int:
        """Bytes of output that may still be kept."""
        if self._stopped_by is not None:
            return 0
        return max(0, self.request.max_output_bytes - self._kept_bytes)

    def _keep(self, msg_type: str, content: bytes, size: int) -> None:
        self.output_bytes += size
        if size > self._room():
            self._stop_keeping("output_limit", size)
        elif not self._writer.output(msg_type, self._parent, content):
            self._stop_keeping("replay_overflow", size)
        else:
            self._kept_bytes += size

    def _stop_keeping(self, reason: str, size: int) -> None:
        """Drop this output and all that follows it: what was kept has no holes, and one gap reports the rest."""
        self._stopped_by = self._stopped_by or reason
        self._drop(self._stopped_by, size)

    def _drop(self, reason: str, size: int) -> None:
        self._dropped_bytes[reason] += size
        self._dropped_messages[reason] += 1

    def write_end(self, reply: JsonObject, report: JsonObject) -> None:
        """Write the gaps, `idle` and the reply: the last frames of this execution."""
        for reason, dropped in self._dropped_bytes.items():
            if dropped:
                self._writer.gap(
                    self._parent,
                    {
                        "reason": reason,
                        "dropped_bytes": dropped,
                        "dropped_messages": self._dropped_messages[reason],
                    },
                )
        self._writer.status("idle", self._parent)
        self._writer.reply(self._parent, reply, report)
