"""Jupyter messages to the gateway, written into the replay buffer.

Frames are joined from bytes, so that what all messages of an execution share is encoded once. Parts that are inserted
without JSON encoding need no escapes: they are constants, dates or hexadecimal.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from cellhouse_agent.replay_buffer import ReplayBuffer
from cellhouse_agent.wire import JsonObject, dump

# The parent header of a message about the kernel rather than an execution.
NO_PARENT = b"{}"


class FrameWriter:
    """Makes frames and appends them to the replay buffer: output only if there is room, the others always.

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
