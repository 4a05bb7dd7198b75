"""Frames to the gateway: Jupyter messages, which are kept until a gateway has stored them.

Frames are joined from bytes, so that the parent header that all messages of an execution share is encoded once. Parts
that are inserted without JSON encoding need no escapes: they are constants, dates or hexadecimal.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cellhouse_agent.json_values import JsonObject, dump

# The parent header of a message about the kernel rather than an execution.
NO_PARENT = b"{}"


class FrameWriter:
    """Makes frames and appends them to the replay buffer: output only if there is room, all other frames always.

    `parent` and `content` are JSON objects, encoded. An execution runs from its `busy` to its reply.
    """

    def __init__(self, buffer: ReplayBuffer, boot_id: str, max_message_bytes: int) -> None:
        self._buffer = buffer
        self._boot_id = boot_id
        self._numbers = itertools.count(1)
        self.max_message_bytes = max_message_bytes

    def status(
        self,
        state: str,
        parent: bytes,
        execution_count: int | None = None,
        pid: int | None = None,
    ) -> None:
        """An execution's iopub `status`, with the number of the cell or the process of the command, if known."""
        content: JsonObject = {"execution_state": state}
        if execution_count is not None:
            content["execution_count"] = execution_count
        if pid is not None:
            content["pid"] = pid
        if state == "busy":
            self._buffer.shares.begin(parent)
        frame = self._frame("iopub", "status", parent, dump(content))
        # The `busy` and `idle` of a short execution are sent together with its output and reply.
        self._buffer.append(frame, True, parent)

    def restarting(self, reason: str, context_id: str | None) -> None:
        """The kernel of a context is being replaced; None: the default kernel."""
        content: JsonObject = {"execution_state": "restarting", "reason": reason}
        if context_id is not None:
            content["context_id"] = context_id
        self._buffer.append(self._frame("iopub", "status", NO_PARENT, dump(content)))

    def context(self, content: JsonObject) -> None:
        """Report that the state of a context has changed."""
        self._buffer.append(self._frame("iopub", "cellhouse_context", NO_PARENT, dump(content)))

    def output(self, msg_type: str, parent: bytes, content: bytes) -> bool:
        """An output of an execution; false when the replay buffer has no room for it."""
        frame = self._frame("iopub", msg_type, parent, content)
        if not self._buffer.has_room(sum(map(len, frame)), parent):
            return False
        self._buffer.append(frame, owner=parent)
        return True

    def late_question(self, parent: bytes, content: bytes) -> None:
        """Report a question for input although there is no room for output. The caller limits how many there are."""
        frame = self._frame("iopub", "cellhouse_input_request", parent, content)
        self._buffer.append(frame, owner=parent)

    def gap(self, parent: bytes, content: JsonObject) -> None:
        """Report output of an execution that could not be kept."""
        frame = self._frame("iopub", "cellhouse_gap", parent, dump(content))
        self._buffer.append(frame, owner=parent)

    def reply(self, parent: bytes, content: JsonObject, report: JsonObject) -> None:
        """The `execute_reply`, with the agent's report on the execution in its metadata."""
        metadata = dump({"cellhouse": report})
        frame = self._frame("shell", "execute_reply", parent, dump(content), metadata)
        self._buffer.append(frame, owner=parent)
        self._buffer.shares.end(parent)

    def _frame(
        self, channel: str, msg_type: str, parent: bytes, content: bytes, metadata: bytes = b"{}"
    ) -> tuple[bytes, ...]:
        header = (
            f'"channel":"{channel}","header":{{"msg_id":"{self._boot_id}-{next(self._numbers)}",'
            f'"msg_type":"{msg_type}","session":"{self._boot_id}","username":"cellhouse",'
            f'"date":"{datetime.now(UTC).isoformat()}","version":"5.3"}},"parent_header":'
        ).encode()
        end = b',"metadata":', metadata, b',"content":', content, b',"buffers":[]}'
        return header, parent, *end


# The memory that a frame takes besides its bytes (object headers, table entry), so that small frames count fully.
FRAME_OVERHEAD_BYTES = 150
# How long a frame with `can_wait` waits to be sent together with a later one.
WAIT_SECONDS = 0.002


class ReplayBuffer:
    """Frames that no gateway has stored yet: a queue between executions and the gateway, bounded in bytes for output.

    Every frame has a `seq`, counted from 1 without gaps. Frames stay until they are acknowledged, so that a gateway
    that reconnects gets everything after the last frame it stored. A full buffer refuses output: the caller counts the
    output and reports a gap. Status messages and replies are always accepted. They are few, since the executor limits
    the number of executions whose end no gateway has stored. While several executions run, each has a share, so that a
    flood of one leaves room for the others.
    """

    def __init__(self, capacity_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._capacity_bytes = capacity_bytes
        self._now = now
        self._frames: dict[int, bytes] = {}
        self.shares = Shares()
        self._first_seq = 1
        self._last_seq = 0
        self._size_bytes = 0
        self._grown = asyncio.Event()
        # The event loop of `wait_for`.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._late: asyncio.TimerHandle | None = None

    @property
    def first_seq(self) -> int:
        """The oldest frame that can be replayed (last_seq + 1 when there is none)."""
        return self._first_seq

    @property
    def last_seq(self) -> int:
        """The newest frame ever made; 0 before the first."""
        return self._last_seq

    @property
    def size_bytes(self) -> int:
        """The memory that the held frames take."""
        return self._size_bytes

    def has_room(self, body_bytes: int, owner: bytes = b"") -> bool:
        """Whether output of this size may be appended for this execution."""
        size = body_bytes + FRAME_OVERHEAD_BYTES
        has_room = self._size_bytes + size <= self._capacity_bytes
        return has_room and self.shares.may_hold(owner, size, self._capacity_bytes)

    def append(self, body: Iterable[bytes], can_wait: bool = False, owner: bytes = b"") -> int:
        """Append a frame of this execution and return its seq; never refuses.

        `body` is the text of a JSON object without its first brace, in parts. In the frame, `seq` and `at` precede it.
        The parts are joined only here: each copy of a large frame takes time. A frame that can wait wakes the reader
        only with the next frame that cannot, or after WAIT_SECONDS.
        """
        self._last_seq += 1
        head = b'{"seq":%d,"at":%.3f,' % (self._last_seq, self._now() * 1000)
        frame = b"".join((head, *body))
        self._frames[self._last_seq] = frame
        size = len(frame) + FRAME_OVERHEAD_BYTES
        self._size_bytes += size
        self.shares.add(owner, self._last_seq, size)
        if not can_wait or self._loop is None:
            self._tell()
        elif self._late is None and not self._grown.is_set():
            self._late = self._loop.call_later(WAIT_SECONDS, self._tell)
        return self._last_seq

    def _tell(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None
        self._grown.set()

    def ack(self, seq: int) -> None:
        """Free every frame up to `seq`. A seq that was never made belongs to another agent, and is ignored."""
        if seq > self._last_seq:
            return
        while self._first_seq <= seq:
            size = len(self._frames.pop(self._first_seq)) + FRAME_OVERHEAD_BYTES
            self._size_bytes -= size
            self.shares.free(self._first_seq, size)
            self._first_seq += 1

    def get(self, seq: int) -> bytes | None:
        """The frame with this seq, if it is held."""
        return self._frames.get(seq)

    async def wait_for(self, seq: int) -> None:
        """Return once the frame with this seq exists; one that can wait may wake the caller late."""
        while self._last_seq < seq:
            self._grown.clear()
            self._loop = asyncio.get_running_loop()
            await self._grown.wait()


# While several executions run, the output of one takes at most this part of the buffer.
MAX_SHARE = 0.5


class Run:
    """Consecutive frames of one owner. With only one lane, nearly all frames of an execution are consecutive."""

    __slots__ = ("owner", "last_seq")

    def __init__(self, owner: bytes, last_seq: int) -> None:
        self.owner = owner
        self.last_seq = last_seq


class Shares:
    """Counts how much of the replay buffer each owner holds, so that one alone cannot take the room of the others.

    An owner is an execution, named by the parent header of its frames.
    """

    def __init__(self) -> None:
        self._running: set[bytes] = set()
        self._held: dict[bytes, int] = {}
        # The runs in the order of their frames. Each held frame is in one of them.
        self._runs: deque[Run] = deque()

    def begin(self, owner: bytes) -> None:
        """This execution begins to write output."""
        self._running.add(owner)

    def end(self, owner: bytes) -> None:
        """This execution has written its last frame."""
        self._running.discard(owner)

    def may_hold(self, owner: bytes, size_bytes: int, capacity_bytes: int) -> bool:
        """Whether this execution may hold this much more: all that fits if it runs alone, otherwise only its share."""
        if not self._running or self._running == {owner}:
            return True
        return self._held.get(owner, 0) + size_bytes <= MAX_SHARE * capacity_bytes

    def add(self, owner: bytes, seq: int, size_bytes: int) -> None:
        """Count the next frame, which is held from now on."""
        self._held[owner] = self._held.get(owner, 0) + size_bytes
        if self._runs and self._runs[-1].owner == owner:
            self._runs[-1].last_seq = seq
        else:
            self._runs.append(Run(owner, seq))

    def free(self, seq: int, size_bytes: int) -> None:
        """Stop counting the oldest frame, which is no longer held."""
        owner = self._runs[0].owner
        if self._runs[0].last_seq == seq:
            self._runs.popleft()
        left = self._held[owner] - size_bytes
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
