"""Frames from the gateway: which are accepted, ignored or refused."""

from __future__ import annotations

import copy
import json
import unittest
from typing import Any

from cellhouse_agent.gateway.requests import (
    Ack,
    CommandOptions,
    Context,
    ExecuteRequest,
    Surroundings,
    TerminalSize,
    parse_frame,
)
from cellhouse_agent.json_values import MalformedMessage

EXECUTE: dict[str, Any] = {
    "channel": "shell",
    "header": {"msg_id": "m1", "msg_type": "execute_request", "session": "s", "other": "left out"},
    "parent_header": {},
    "metadata": {"cellhouse": {"timeout_ms": 1_000, "grace_ms": 0, "max_output_bytes": 10}},
    "content": {"code": "1 + 1"},
    "buffers": [],
}


def changed(path: str, value: object) -> str:
    """EXECUTE with one value replaced, as a frame."""
    frame = copy.deepcopy(EXECUTE)
    *parents, last = path.split(".")
    part = frame
    for name in parents:
        part = part[name]
    part[last] = value
    return json.dumps(frame)


class ParseFrameTest(unittest.TestCase):
    """parse_frame takes exactly what docs/internals/worker-protocol.md says."""

    def test_takes_a_request(self) -> None:
        frame = parse_frame(json.dumps(EXECUTE))
        self.assertEqual(
            frame,
            ExecuteRequest(
                msg_id="m1",
                code="1 + 1",
                header={"msg_id": "m1", "msg_type": "execute_request", "session": "s"},
                timeout_ms=1_000,
                grace_ms=0,
                max_output_bytes=10,
            ),
        )

    def test_takes_a_command(self) -> None:
        limits = {**EXECUTE["metadata"]["cellhouse"], "language": "bash"}
        frame = parse_frame(changed("metadata.cellhouse", limits))
        assert isinstance(frame, ExecuteRequest)
        self.assertEqual((frame.command, frame.context), (CommandOptions({}, None), None))
        found = {"environment": {"A": "1"}, "working_directory": "/tmp"}
        frame = parse_frame(changed("metadata.cellhouse", {**limits, **found}))
        assert isinstance(frame, ExecuteRequest)
        self.assertEqual(frame.command, CommandOptions({"A": "1"}, "/tmp"))
        self.assertFalse(frame.takes_input)
        python = parse_frame(changed("metadata.cellhouse.language", "python"))
        self.assertEqual(python, parse_frame(json.dumps(EXECUTE)))

    def test_takes_input_only_if_the_request_says_so(self) -> None:
        limits = {**EXECUTE["metadata"]["cellhouse"], "language": "bash"}
        for fields, terminal in (
            ({"stdin": True}, None),
            ({"pty": {"columns": 80, "rows": 24}}, TerminalSize(80, 24)),
        ):
            frame = parse_frame(changed("metadata.cellhouse", {**limits, **fields}))
            assert isinstance(frame, ExecuteRequest) and frame.command
            self.assertTrue(frame.takes_input)
            self.assertEqual(frame.command.terminal, terminal)
        for value, takes_input in ((True, True), (False, False), (1, False)):
            frame = parse_frame(changed("content.allow_stdin", value))
            assert isinstance(frame, ExecuteRequest)
            self.assertEqual(frame.takes_input, takes_input)

    def test_takes_surroundings_of_code_for_a_kernel(self) -> None:
        limits = EXECUTE["metadata"]["cellhouse"]
        nothing: dict[str, Any] = {"environment": {}, "working_directory": None}
        plain = parse_frame(changed("metadata.cellhouse", {**limits, **nothing}))
        self.assertEqual(plain, parse_frame(json.dumps(EXECUTE)))
        found = {"environment": {"A": "1"}, "working_directory": "/tmp", "context": {"id": "c"}}
        frame = parse_frame(changed("metadata.cellhouse", {**limits, **found}))
        assert isinstance(frame, ExecuteRequest)
        self.assertEqual(frame.surroundings, Surroundings({"A": "1"}, "/tmp"))
        self.assertEqual((frame.context, frame.command), (Context("c", None), None))

    def test_refuses_malformed_surroundings(self) -> None:
        malformed: list[dict[str, Any]] = [
            {"environment": None},
            {"environment": {"A": 1}},
            {"environment": {"A=": "1"}},
            {"working_directory": "relative"},
            {"working_directory": 1},
        ]
        for language in ("python", "bash"):
            limits = {**EXECUTE["metadata"]["cellhouse"], "language": language}
            for fields in malformed:
                with self.subTest(fields), self.assertRaises(MalformedMessage):
                    parse_frame(changed("metadata.cellhouse", {**limits, **fields}))

    def test_refuses_a_malformed_command(self) -> None:
        malformed: list[dict[str, Any]] = [
            {"language": "perl"},
            {"language": None},
            {"context": {"id": "c"}},
            {"pty": True},
            {"pty": {"columns": 80}},
            {"pty": {"columns": 80, "rows": 0}},
            {"pty": {"columns": 65_536, "rows": 24}},
        ]
        limits = {**EXECUTE["metadata"]["cellhouse"], "language": "bash"}
        for fields in malformed:
            with self.subTest(fields), self.assertRaises(MalformedMessage):
                parse_frame(changed("metadata.cellhouse", {**limits, **fields}))

    def test_takes_an_acknowledgement(self) -> None:
        self.assertEqual(parse_frame('{"ack": 7}'), Ack(7))

    def test_ignores_other_messages(self) -> None:
        self.assertIsNone(parse_frame(changed("header.msg_type", "kernel_info_request")))
        self.assertIsNone(parse_frame(changed("channel", "control")))

    def test_keeps_any_text_of_code(self) -> None:
        code = "nul \0 \ud800 正弦波"
        frame = parse_frame(changed("content.code", code))
        self.assertIsInstance(frame, ExecuteRequest)
        self.assertEqual(frame.code if isinstance(frame, ExecuteRequest) else None, code)

    def test_refuses_malformed_frames(self) -> None:
        frames = {
            "not JSON": "{",
            "not an object": "[]",
            "not a number": '{"ack": NaN}',
            "no header": "{}",
            "an ack that is text": '{"ack": "7"}',
            "an ack that is a boolean": '{"ack": true}',
            "a negative ack": '{"ack": -1}',
            "no code": changed("content", {}),
            "code that is not text": changed("content.code", 5),
            "an empty id": changed("header.msg_id", ""),
            "a long id": changed("header.msg_id", "x" * 129),
            "no limits": changed("metadata", {}),
            "no time": changed("metadata.cellhouse.timeout_ms", 0),
            "a time of more than a day": changed("metadata.cellhouse.timeout_ms", 86_400_001),
            "a fraction": changed("metadata.cellhouse.timeout_ms", 1.5),
            "a negative grace": changed("metadata.cellhouse.grace_ms", -1),
            "nesting that nothing could read": "[" * 100_000,
        }
        for name, frame in frames.items():
            with self.subTest(name), self.assertRaises(MalformedMessage):
                parse_frame(frame)


if __name__ == "__main__":
    unittest.main()
