"""Jupyter messages to the gateway, written into the replay buffer."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from cellhouse_agent.replay_buffer import ReplayBuffer
from cellhouse_agent.wire import JsonObject, dump


class FrameWriter:
    """Makes frames. Status, gaps and replies always go in; output only where there is room."""

    def __init__(self, buffer: ReplayBuffer, boot_id: str, max_message_bytes: int) -> None:
        self._buffer = buffer
        self._boot_id = boot_id
        self._numbers = itertools.count(1)
        self.max_message_bytes = max_message_bytes

    def status(self, state: str, parent: JsonObject, reason: str | None = None) -> None:
        """An iopub `status`; an empty parent means it is about the kernel, not an execution."""
        content: JsonObject = {"execution_state": state}
        if reason is not None:
            content["reason"] = reason
        self._buffer.append(self._frame("iopub", "status", parent, content, {}))

    def output(self, msg_type: str, parent: JsonObject, content: JsonObject) -> bool:
        """An output of an execution; false when the replay buffer has no room for it."""
        frame = self._frame("iopub", msg_type, parent, content, {})
        if not self._buffer.has_room(len(frame)):
            return False
        self._buffer.append(frame)
        return True

    def gap(self, parent: JsonObject, content: JsonObject) -> None:
        """What of an execution's output could not be kept."""
        self._buffer.append(self._frame("iopub", "cellhouse_gap", parent, content, {}))

    def reply(self, parent: JsonObject, content: JsonObject, report: JsonObject) -> None:
        """The `execute_reply`, with how it went."""
        self._buffer.append(
            self._frame("shell", "execute_reply", parent, content, {"cellhouse": report})
        )

    def _frame(
        self,
        channel: str,
        msg_type: str,
        parent: JsonObject,
        content: JsonObject,
        metadata: JsonObject,
    ) -> bytes:
        header: JsonObject = {
            "msg_id": f"{self._boot_id}-{next(self._numbers)}",
            "msg_type": msg_type,
            "session": self._boot_id,
            "username": "cellhouse",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        return dump(
            {
                "channel": channel,
                "header": header,
                "parent_header": parent,
                "metadata": metadata,
                "content": content,
                "buffers": [],
            }
        )
