"""One execution: the order of its frames, its limits, and what is left out."""

from __future__ import annotations

import json
import unittest
from typing import Any

from cellhouse_agent.executions.execution import MAX_BUSY_SECONDS, Execution
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.json_values import Json, JsonObject
from cellhouse_agent.kernel.link import KernelMessage

MAX_MESSAGE_BYTES = 100_000


class ExecutionTest(unittest.TestCase):
    """An execution that may keep 100 bytes of output, on a clock that tests set."""

    def setUp(self) -> None:
        self.time = 50.0
        self.make()

    def make(self, capacity_bytes: int = 1_000_000, timeout_ms: int = 2_000) -> None:
        """A fresh execution, writing into a fresh buffer."""
        self.buffer = ReplayBuffer(capacity_bytes)
        request = ExecuteRequest("m1", "code", {"msg_id": "m1"}, timeout_ms, 500, 100)
        writer = FrameWriter(self.buffer, "boot", MAX_MESSAGE_BYTES)
        self.execution = Execution(request, writer, lambda: self.time)

    def iopub(self, msg_type: str, content: JsonObject, size_bytes: int = 100) -> None:
        """A message from the kernel."""
        self.execution.accept("iopub", KernelMessage(msg_type, "m1", content, size_bytes))

    def print(self, text: str) -> None:
        """Text on stdout."""
        self.iopub("stream", {"name": "stdout", "text": text})

    def become_idle(self) -> None:
        """The `idle` status with the end key, which the kernel sends when it is free again."""
        self.iopub("status", {"execution_state": "idle", "end_key": self.execution.end_key})

    def end(self) -> list[dict[str, Any]]:
        """End the execution, and return all its frames."""
        self.execution.accept("shell", KernelMessage("execute_reply", "m1", {"status": "ok"}, 10))
        self.become_idle()
        self.assertTrue(self.execution.is_done)
        self.execution.write_end(self.execution.reply or {}, {"outcome": "finished"})
        frames = range(1, self.buffer.last_seq + 1)
        return [json.loads(self.buffer.get(seq) or b"") for seq in frames]

    def kinds(self, frames: list[dict[str, Any]]) -> list[str]:
        """The types of frames; for a status, its state."""
        return [
            frame["content"].get("execution_state") or frame["header"]["msg_type"]
            for frame in frames
        ]

    def gaps(self, frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The gaps, which say how much was left out."""
        return [
            frame["content"] for frame in frames if frame["header"]["msg_type"] == "cellhouse_gap"
        ]

    def text(self, frames: list[dict[str, Any]]) -> str:
        """All that was printed."""
        return "".join(frame["content"].get("text", "") for frame in frames)

    def test_writes_busy_outputs_idle_reply_with_the_request_as_parent(self) -> None:
        self.iopub("status", {"execution_state": "busy"})
        self.print("x")
        frames = self.end()
        self.assertEqual(self.kinds(frames), ["busy", "stream", "idle", "execute_reply"])
        self.assertTrue(all(frame["parent_header"] == {"msg_id": "m1"} for frame in frames))
        self.assertEqual([frame["seq"] for frame in frames], [1, 2, 3, 4])

    def test_counts_its_time_limit_from_the_sending(self) -> None:
        self.time = 50.25
        self.iopub("status", {"execution_state": "busy"})
        self.assertEqual(self.execution.deadline, 52)

    def test_waits_for_a_stuck_kernel_for_at_most_half_of_the_time_limit(self) -> None:
        self.assertEqual(self.execution.busy_seconds, MAX_BUSY_SECONDS)
        self.make(timeout_ms=500)
        self.assertEqual(self.execution.busy_seconds, 0.25)

    def test_writes_busy_once(self) -> None:
        self.iopub("status", {"execution_state": "busy"})
        self.execution.start()
        self.iopub("status", {"execution_state": "busy"})
        self.assertEqual(self.kinds(self.end()), ["busy", "idle", "execute_reply"])

    def test_is_done_when_the_kernel_itself_is_idle(self) -> None:
        self.execution.accept("shell", KernelMessage("execute_reply", "m1", {"status": "ok"}, 10))
        self.assertFalse(self.execution.is_done)
        self.become_idle()
        self.assertTrue(self.execution.is_done)

    def test_leaves_out_output_after_its_end(self) -> None:
        self.print("in time")
        self.become_idle()
        self.print("late")
        self.assertEqual(self.text(self.end()), "in time")

    def test_keeps_output_after_an_end_that_code_has_forged(self) -> None:
        self.execution.accept("shell", KernelMessage("execute_reply", "m1", {"status": "ok"}, 10))
        keys: list[Json] = ["", "0" * 32, None, [self.execution.end_key]]
        for key in keys:
            self.iopub("status", {"execution_state": "idle", "end_key": key})
            self.iopub("status", {"execution_state": "idle"})
            self.print("x")
        self.assertFalse(self.execution.is_done)
        self.assertEqual(self.text(self.end()), "xxxx")

    def test_keeps_output_up_to_exactly_its_limit(self) -> None:
        self.print("x" * 100)
        frames = self.end()
        self.assertEqual((len(self.text(frames)), self.gaps(frames)), (100, []))

    def test_cuts_output_at_the_limit_and_reports_one_gap_before_idle(self) -> None:
        self.print("x" * 60)
        self.print("é" * 30)
        self.print("later, though it would fit")
        frames = self.end()
        self.assertEqual(self.text(frames), "x" * 60 + "é" * 20)
        gap = {"reason": "output_limit", "dropped_bytes": 20 + 26, "dropped_messages": 2}
        self.assertEqual(self.gaps(frames), [gap])
        self.assertEqual(self.kinds(frames)[-3:], ["cellhouse_gap", "idle", "execute_reply"])
        self.assertEqual((self.execution.output_bytes, self.execution.dropped_bytes), (146, 46))

    def test_drops_output_but_no_status_when_the_buffer_is_full(self) -> None:
        self.make(capacity_bytes=900)
        for _ in range(5):
            self.print("x" * 10)
        frames = self.end()
        self.assertEqual([gap["reason"] for gap in self.gaps(frames)], ["replay_overflow"])
        self.assertEqual(self.kinds(frames)[-2:], ["idle", "execute_reply"])
        self.assertEqual(len(self.text(frames)) + self.execution.dropped_bytes, 50)

    def test_drops_a_message_that_is_too_large_and_goes_on(self) -> None:
        self.iopub("display_data", {}, MAX_MESSAGE_BYTES + 1)
        self.print("after")
        frames = self.end()
        self.assertEqual(self.text(frames), "after")
        self.assertEqual([gap["reason"] for gap in self.gaps(frames)], ["message_too_large"])

    def test_reports_malformed_output_as_one_gap_and_goes_on(self) -> None:
        self.iopub("display_data", {})
        self.iopub("display_data", {"data": {"application/json": float("inf")}})
        self.iopub("stream", {"name": "stdlog", "text": "x"})
        self.print("after")
        frames = self.end()
        self.assertEqual(self.text(frames), "after")
        gap = {"reason": "malformed", "dropped_bytes": 300, "dropped_messages": 3}
        self.assertEqual(self.gaps(frames), [gap])

    def test_counts_what_the_kernel_itself_cut(self) -> None:
        cut: JsonObject = {
            "ename": "E",
            "evalue": "v",
            "traceback": [],
            "cellhouse_dropped_bytes": 7,
        }
        self.iopub("error", cut)
        frames = self.end()
        gap = {"reason": "message_too_large", "dropped_bytes": 7, "dropped_messages": 1}
        self.assertEqual(self.gaps(frames), [gap])
        self.assertNotIn("cellhouse_dropped_bytes", frames[1]["content"])

    def test_may_be_interrupted_once_the_kernel_has_taken_up_the_code(self) -> None:
        self.iopub("status", {"execution_state": "busy"})
        self.assertFalse(self.execution.is_interruptible)
        self.iopub("execute_input", {})
        self.assertTrue(self.execution.is_interruptible)

    def test_takes_the_first_reply_only(self) -> None:
        self.execution.accept("shell", KernelMessage("execute_reply", "m1", {"status": "ok"}, 10))
        self.execution.accept("shell", KernelMessage("execute_reply", "m1", {"status": "no"}, 10))
        self.assertEqual((self.execution.reply or {})["status"], "ok")


if __name__ == "__main__":
    unittest.main()
