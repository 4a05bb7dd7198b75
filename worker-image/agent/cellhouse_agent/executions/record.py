"""The record that every execution has, in a kernel or as a command, and the parts of the agent that executions share.

States of a record: made -> started (`busy`) -> written (the gaps, `idle` and the reply).
"""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cellhouse_agent.executions.inputs import Inputs
from cellhouse_agent.executions.outputs import cut_utf8, made_reply, split_utf8, utf8
from cellhouse_agent.gateway.frames import FrameWriter
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.json_values import JsonObject, dump
from cellhouse_agent.usage.sampling import Trees

# The most binary bytes in one frame. As JSON, their approximate text and their base64 take less than eight times as
# much.
MAX_BINARY_PIECE_BYTES = 65_536
# How many questions for input are reported when there is no room for output, and how much of each prompt. Even if each
# character takes twelve bytes in JSON, the prompts take less than 2 MB.
MAX_LATE_QUESTIONS = 1_000
MAX_LATE_PROMPT_CHARACTERS = 100


class Record:
    """Writes the frames of one execution, in a kernel or as a command, within the limits of its request."""

    def __init__(self, request: ExecuteRequest, writer: FrameWriter) -> None:
        self.request = request
        self._writer = writer
        self._parent = dump(request.header)
        self.started_at: float | None = None
        self.output_bytes = 0
        self._kept_bytes = 0
        self._stopped_by: str | None = None
        self._late_questions = 0
        self._dropped_bytes: Counter[str] = Counter()
        self._dropped_messages: Counter[str] = Counter()

    @property
    def dropped_bytes(self) -> int:
        """Output that was not kept."""
        return self._dropped_bytes.total()

    def start(self, execution_count: int | None = None, pid: int | None = None) -> None:
        """Write `busy`, once. `execution_count`: the number of the cell, if it is known. `pid`: of a command."""
        if self.started_at is None:
            self.started_at = time.time() * 1000
            self._writer.status("busy", self._parent, execution_count, pid)

    def keep_stream(self, name: str, data: bytes) -> None:
        """Keep as much of the text as the limit allows; drop the rest."""
        head = cut_utf8(data, self._room())
        for piece in split_utf8(head):
            self.keep("stream", dump({"name": name, "text": piece}), len(utf8(piece)))
        self._stop_after(head, data)

    def keep_bytes(self, name: str, data: bytes) -> None:
        """Like `keep_stream`, for bytes that are not text. Their frames have base64, and an approximate text."""
        head = data[: self._room()]
        for start in range(0, len(head), MAX_BINARY_PIECE_BYTES):
            piece = head[start : start + MAX_BINARY_PIECE_BYTES]
            content: JsonObject = {
                "name": name,
                "text": piece.decode("utf-8", "replace"),
                "base64": base64.b64encode(piece).decode("ascii"),
            }
            self.keep("stream", dump(content), len(piece))
        self._stop_after(head, data)

    def keep(self, msg_type: str, content: bytes, size: int) -> None:
        """Keep an output of this size, or drop it and all that follow.

        This saves memory. The gateway enforces the same limit itself, because it does not trust the agent: `takeOutput`
        in `src/kernel/execution.ts`.
        """
        self.output_bytes += size
        if size > self._room():
            self._stop_keeping("output_limit", size)
        elif not self._writer.output(msg_type, self._parent, content):
            self._stop_keeping("replay_overflow", size)
        else:
            self._kept_bytes += size

    def keep_question(self, prompt: str, is_password: bool) -> None:
        """Keep a question as an output. If there is no room for it, report it anyway, because the code waits.

        The last one reported is marked as a password question: what a user answers to it may go to a later, unreported
        one.
        """
        body = dump({"prompt": prompt, "password": is_password})
        self.output_bytes += len(body)
        has_room = len(body) <= self._room()
        if has_room and self._writer.output("cellhouse_input_request", self._parent, body):
            self._kept_bytes += len(body)
        elif self._late_questions < MAX_LATE_QUESTIONS:
            self._late_questions += 1
            is_last = self._late_questions == MAX_LATE_QUESTIONS
            head = prompt[:MAX_LATE_PROMPT_CHARACTERS]
            late: JsonObject = {"prompt": head, "password": is_password or is_last}
            self._writer.late_question(self._parent, dump(late))
        else:
            self._stop_keeping("replay_overflow" if has_room else "output_limit", len(body))

    def drop(self, reason: str, size: int) -> None:
        """Count an output that cannot be kept. Later outputs still can."""
        self.output_bytes += size
        self._drop(reason, size)

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

    def _room(self) -> int:
        """Bytes of output that may still be kept."""
        if self._stopped_by is not None:
            return 0
        return max(0, self.request.max_output_bytes - self._kept_bytes)

    def _stop_after(self, head: bytes, data: bytes) -> None:
        """Drop what did not fit."""
        if len(head) < len(data):
            self.output_bytes += len(data) - len(head)
            self._stop_keeping("output_limit", len(data) - len(head))

    def _stop_keeping(self, reason: str, size: int) -> None:
        """Drop this output and all that follows it: what was kept has no holes, and one gap reports the rest."""
        self._stopped_by = self._stopped_by or reason
        self._drop(self._stopped_by, size)

    def _drop(self, reason: str, size: int) -> None:
        self._dropped_bytes[reason] += size
        self._dropped_messages[reason] += 1


class Unstarted(NamedTuple):
    """The end of a request that never began."""

    outcome: str
    ename: str
    evalue: str

    def end(self, execution: Record, is_other_kernel: bool) -> None:
        """Write the frames of the request: only the last ones.

        `is_other_kernel`: the request was accepted for an earlier kernel.
        """
        report: JsonObject = {
            "outcome": self.outcome,
            "state_lost": is_other_kernel,
            "started_at": None,
            "finished_at": time.time() * 1000,
            "cpu_ms": 0,
            "peak_memory_bytes": 0,
            "output_bytes": 0,
            "dropped_bytes": 0,
            "exit_code": None,
        }
        execution.write_end(made_reply(self.ename, self.evalue), report)


INTERRUPTED = Unstarted("interrupted", "KeyboardInterrupt", "Interrupted while queued")
NO_KERNEL = Unstarted(
    "kernel_died",
    "KernelUnavailable",
    "No kernel could be started: the limit of processes or of memory is reached",
)


@dataclass(frozen=True)
class SharedParts:
    """The parts of the agent that all lanes and commands of a worker share."""

    writer: FrameWriter
    trees: Trees
    # Without it, replies say nothing of changed files.
    home: HomeWatch | None
    # Called with the msg_id of a request, directly after its last frame.
    ended: Callable[[str], None]
    # The processes of the kernels that run no code.
    quiet_kernels: Callable[[], frozenset[int | None]]
    inputs: Inputs
