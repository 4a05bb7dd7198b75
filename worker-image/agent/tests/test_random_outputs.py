"""Whatever a kernel sends: text is cut between characters, content is checked or refused, every byte is counted."""

from __future__ import annotations

import json
import random
import unittest

from cellhouse_agent.executions.execution import Execution
from cellhouse_agent.executions.outputs import (
    MAX_NAME_BYTES,
    MAX_TRACEBACK_BYTES,
    MAX_VALUE_BYTES,
    OUTPUT_TYPES,
    bounded_reply,
    check_output,
    cut_utf8,
    is_exit_reply,
    split_utf8,
    utf8,
)
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.requests import ExecuteRequest
from cellhouse_agent.json_values import Json, JsonObject, MalformedMessage, dump
from cellhouse_agent.kernel.link import KernelMessage
from tests.random_json import any_content, any_text
from tests.seeded import seeds

TYPES = sorted(OUTPUT_TYPES)
MAX_MESSAGE_BYTES = 2_000
# Twice as many lines as a reply has room for.
LONG: Json = ["t"] * (2 * MAX_TRACEBACK_BYTES)


class RandomTextTest(unittest.TestCase):
    """cut_utf8 and split_utf8."""

    def test_pieces_are_the_whole_and_no_character_is_split(self) -> None:
        for seed in seeds(2_000):
            source = random.Random(seed)
            text, size = any_text(source, 200), source.randrange(4, 40)
            with self.subTest(seed=seed):
                pieces = list(split_utf8(utf8(text), size))
                self.assertEqual("".join(pieces), text)
                self.assertTrue(all(0 < len(utf8(piece)) <= size for piece in pieces))

    def test_a_head_is_the_longest_that_fits(self) -> None:
        for seed in seeds(2_000):
            source = random.Random(seed)
            text, size = any_text(source, 40), source.randrange(60)
            with self.subTest(seed=seed):
                head = cut_utf8(utf8(text), size).decode("utf-8", "surrogatepass")
                self.assertTrue(text.startswith(head))
                self.assertLessEqual(len(utf8(head)), size)
                if head != text:
                    self.assertGreater(len(utf8(text[: len(head) + 1])), size)


class RandomContentTest(unittest.TestCase):
    """check_output and replies."""

    def test_content_is_refused_or_has_the_fields_of_its_type(self) -> None:
        fields = {
            "stream": {"name", "text"},
            "display_data": {"data", "metadata", "transient"},
            "update_display_data": {"data", "metadata", "transient"},
            "execute_result": {"data", "metadata", "execution_count"},
            "error": {"ename", "evalue", "traceback"},
            "clear_output": {"wait"},
        }
        kept = 0
        for seed in seeds(5_000):
            source = random.Random(seed)
            msg_type = source.choice(TYPES)
            with self.subTest(seed=seed):
                try:
                    content = check_output(msg_type, any_content(source))
                except MalformedMessage:
                    continue
                kept += 1
                self.assertEqual(set(content), fields[msg_type])
        self.assertGreater(kept, 500)

    def test_a_reply_is_bounded_whatever_it_was(self) -> None:
        for seed in seeds(5_000):
            source = random.Random(seed)
            content = any_content(source)
            if source.random() < 0.01:
                content |= {"ename": "n" * 10**5, "evalue": "é" * 10**5, "traceback": LONG}
            with self.subTest(seed=seed):
                self.assertIsInstance(is_exit_reply(content), bool)
                reply = bounded_reply(content)
                self.assertIn(reply["status"], ("ok", "error"))
                limits = MAX_NAME_BYTES + MAX_VALUE_BYTES + MAX_TRACEBACK_BYTES
                # In JSON, a byte may take six bytes, and an entry also has quotes and a comma.
                self.assertLess(len(dump(reply)), 6 * limits)


class RandomExecutionTest(unittest.TestCase):
    """Execution."""

    def test_any_messages_become_frames_in_order_and_no_byte_is_lost_uncounted(self) -> None:
        for seed in seeds(1_000):
            with self.subTest(seed=seed):
                self.play(random.Random(seed))

    def play(self, source: random.Random) -> None:
        """Run an execution of random messages, which the agent ends."""
        buffer = ReplayBuffer(source.choice((1_000, 100_000)))
        request = ExecuteRequest(
            "m", "", {"msg_id": "m"}, 1_000, 100, source.choice((0, 50, 5_000))
        )
        writer = FrameWriter(buffer, "boot", MAX_MESSAGE_BYTES)
        execution = Execution(request, writer, lambda: 0.0)
        for _ in range(source.randrange(30)):
            channel, message = self.any_message(source)
            execution.accept(channel, message)
        execution.start()
        execution.write_end({"status": "ok", "execution_count": None}, {"outcome": "finished"})
        frames = [json.loads(buffer.get(seq) or b"") for seq in range(1, buffer.last_seq + 1)]
        kinds = [
            frame["content"].get("execution_state") or frame["header"]["msg_type"]
            for frame in frames
        ]
        gaps = kinds.count("cellhouse_gap")
        self.assertEqual((kinds[0], kinds[-2:]), ("busy", ["idle", "execute_reply"]))
        self.assertTrue(set(kinds[1 : -2 - gaps]) <= OUTPUT_TYPES)
        self.assertEqual(kinds[-2 - gaps : -2], ["cellhouse_gap"] * gaps)
        self.assertTrue(all(frame["parent_header"] == {"msg_id": "m"} for frame in frames))
        reported = sum(frame["content"].get("dropped_bytes", 0) for frame in frames)
        self.assertEqual(reported, execution.dropped_bytes)
        kept = execution.output_bytes - execution.dropped_bytes
        self.assertTrue(0 <= kept <= request.max_output_bytes)

    def any_message(self, source: random.Random) -> tuple[str, KernelMessage]:
        """A message of any type, size and content, on either channel."""
        others = ("execute_reply", "execute_input", "status", "cellhouse_gap", "comm_open", "")
        msg_type = source.choice((*TYPES, *others))
        content: JsonObject = any_content(source)
        if msg_type == "status":
            content["execution_state"] = source.choice(("busy", "starting", "dead", [], None))
        size = source.choice((100, 100, MAX_MESSAGE_BYTES + 1))
        return source.choice(("shell", "iopub")), KernelMessage(msg_type, "m", content, size)


if __name__ == "__main__":
    unittest.main()
