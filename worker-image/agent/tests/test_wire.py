"""Messages from a kernel that may be hostile."""

from __future__ import annotations

import json
import unittest

from cellhouse_agent.json_values import MAX_JSON_VALUES, MalformedMessage, dump
from cellhouse_agent.kernel.link import (
    Assembled,
    KernelMessage,
    pack_request,
    read_message,
    split_messages,
)
from cellhouse_kernel.packets import pack_parts, unpack_parts


def whole(parts: list[bytes]) -> Assembled:
    """The bytes of a message that arrived whole."""
    data = pack_parts(parts)
    return Assembled(data, len(data), True)


def read(assembled: Assembled) -> list[tuple[str, KernelMessage]]:
    """The messages in it."""
    return [read_message(parts, size) for parts, size in split_messages(assembled)]


class ReadTest(unittest.TestCase):
    """read_message."""

    def setUp(self) -> None:
        self.parts = [b"iopub", b"stream", b"m1", b"{}", b'{"text":"x"}']

    def test_reads_a_message(self) -> None:
        ((channel, got),) = read(whole([*self.parts, b"a buffer"]))
        self.assertEqual(channel, "iopub")
        self.assertEqual(
            (got.msg_type, got.parent_msg_id, got.content), ("stream", "m1", {"text": "x"})
        )

    def test_reads_messages_that_came_together(self) -> None:
        data = pack_parts(self.parts) * 3
        got = read(Assembled(data, len(data), True))
        self.assertEqual([message.size_bytes for _, message in got], [len(data) // 3] * 3)

    def test_reads_only_the_head_of_a_message_that_was_too_large(self) -> None:
        self.parts[4] = b'{"text":"' + b"x" * 1_000 + b'"}'
        data = pack_parts(self.parts)
        ((_, got),) = read(Assembled(data[:100], len(data), False))
        self.assertEqual((got.msg_type, got.parent_msg_id, got.content), ("stream", "m1", {}))
        self.assertEqual(got.size_bytes, len(data))

    def test_keeps_only_the_head_of_a_message_with_malformed_content(self) -> None:
        many = b'{"a":[' + b",".join([b"{}"] * MAX_JSON_VALUES) + b"]}"
        deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        digits = b'{"a":' + b"9" * 5_000 + b"}"
        for content in (b"[]", b"\xff", b'{"a":NaN}', b'{"a":', b"", many, deep, digits):
            self.parts[4] = content
            with self.subTest(content[:10]):
                ((_, got),) = read(whole(self.parts))
                self.assertEqual((got.msg_type, got.content), ("stream", {}))

    def test_refuses_malformed_messages(self) -> None:
        channel, msg_type, parent, metadata, content = self.parts
        good = pack_parts(self.parts)
        cases = {
            "too few parts": whole(self.parts[:-1]),
            "cut short": Assembled(good[:-1], len(good) - 1, True),
            "bytes too many": Assembled(good + b"x", len(good) + 1, True),
            "a head that does not fit": Assembled(good[:45], 10**6, False),
            "lengths beyond all": Assembled(b"\5\0" + b"\xff" * 60, 62, True),
            "too many together": Assembled(good * 513, len(good) * 513, True),
            "another channel": whole([b"control", msg_type, parent, metadata, content]),
            "a type that is not text": whole([channel, b"\xff", parent, metadata, content]),
            "a parent that is not text": whole([channel, msg_type, b"\xff", metadata, content]),
            "a parent that is too long": whole(
                [channel, msg_type, b"x" * 5_000, metadata, content]
            ),
        }
        for name, assembled in cases.items():
            with self.subTest(name), self.assertRaises(MalformedMessage):
                read(assembled)


class RequestTest(unittest.TestCase):
    """pack_request."""

    def test_carries_lone_surrogates(self) -> None:
        data = pack_request("m1", "execute_request", {"code": "\ud800"})
        (channel, msg_type, msg_id, _, content), _ = unpack_parts(data)
        self.assertEqual((channel, msg_type, msg_id), (b"shell", b"execute_request", b"m1"))
        self.assertEqual(json.loads(content), {"code": "\ud800"})


class DumpTest(unittest.TestCase):
    """dump."""

    def test_writes_lone_surrogates(self) -> None:
        self.assertEqual(json.loads(dump({"a": "\ud800"})), {"a": "\ud800"})
        self.assertEqual(dump({"a": "正"}), '{"a":"正"}'.encode())


if __name__ == "__main__":
    unittest.main()
