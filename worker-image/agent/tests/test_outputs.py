"""Outputs of user code, and replies, before they become frames."""

import unittest

from cellhouse_agent.executions.outputs import (
    MAX_TRACEBACK_BYTES,
    bounded_reply,
    check_output,
    cut_utf8,
    is_exit_reply,
    split_utf8,
    utf8,
)
from cellhouse_agent.json_values import Json, JsonObject, MalformedMessage


class CheckOutput(unittest.TestCase):
    """check_output."""

    def test_keeps_exactly_the_known_fields(self) -> None:
        stream: JsonObject = {"name": "stdout", "text": "a", "more": 1}
        self.assertEqual(check_output("stream", stream), {"name": "stdout", "text": "a"})
        display: JsonObject = {"data": {"text/plain": "a"}}
        self.assertEqual(
            check_output("display_data", display),
            {"data": {"text/plain": "a"}, "metadata": {}, "transient": {}},
        )

    def test_refuses_content_without_the_shape_of_its_type(self) -> None:
        deep: Json = {}
        for _ in range(100):
            deep = {"a": deep}
        bad: list[tuple[str, JsonObject]] = [
            ("stream", {"name": "stdlog", "text": "a"}),
            ("stream", {"name": "stdout", "text": 1}),
            ("display_data", {}),
            ("display_data", {"data": []}),
            ("display_data", {"data": {"a": deep}}),
            ("execute_result", {"data": {}, "metadata": {}, "execution_count": -1}),
            ("execute_result", {"data": {}, "metadata": {}, "execution_count": True}),
            ("error", {"ename": "a", "evalue": "b", "traceback": [1]}),
            ("status", {"execution_state": "idle"}),
        ]
        for msg_type, content in bad:
            with self.subTest(msg_type), self.assertRaises(MalformedMessage):
                check_output(msg_type, content)


class Splitting(unittest.TestCase):
    """split_utf8 and cut_utf8."""

    def test_no_character_is_split_and_nothing_is_lost(self) -> None:
        text = "aé正😀\ud800" * 50
        for size in (4, 5, 7, 64):
            pieces = list(split_utf8(utf8(text), size))
            self.assertEqual("".join(pieces), text)
            self.assertLessEqual(max(len(utf8(piece)) for piece in pieces), size)

    def test_a_head_too_short_for_one_character_is_empty(self) -> None:
        self.assertEqual(cut_utf8(utf8("正"), 2), b"")


class Replies(unittest.TestCase):
    """Which part of the kernel's reply is passed on."""

    def test_an_ok_reply_keeps_only_its_status_and_count(self) -> None:
        content: JsonObject = {"status": "ok", "execution_count": 3, "payload": [], "x": "y" * 99}
        self.assertEqual(bounded_reply(content), {"status": "ok", "execution_count": 3})

    def test_a_long_traceback_keeps_its_end(self) -> None:
        lines: list[Json] = ["x" * 1_000 for _ in range(1_000)]
        reply = bounded_reply({"status": "error", "ename": "E", "traceback": [*lines, "last"]})
        kept = reply["traceback"]
        assert isinstance(kept, list)
        self.assertEqual(kept[-1], "last")
        self.assertLessEqual(sum(len(str(line)) for line in kept), MAX_TRACEBACK_BYTES)

    def test_nonsense_becomes_an_error(self) -> None:
        reply = bounded_reply({"status": 5, "ename": [], "traceback": "x", "execution_count": 1.5})
        self.assertEqual((reply["status"], reply["ename"]), ("error", ""))
        self.assertEqual((reply["traceback"], reply["execution_count"]), ([], None))

    def test_the_reply_of_quit_is_recognized(self) -> None:
        self.assertTrue(is_exit_reply({"payload": [{"source": "ask_exit", "keepkernel": False}]}))
        self.assertFalse(is_exit_reply({"payload": [{"source": "ask_exit", "keepkernel": True}]}))
        self.assertFalse(is_exit_reply({"payload": [{"source": "page"}, 1]}))
        self.assertFalse(is_exit_reply({"payload": "ask_exit"}))
