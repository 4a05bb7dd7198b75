"""Messages from a kernel, which is hostile."""

from __future__ import annotations

import json
import unittest

from cellhouse_agent.wire import DELIMITER, MAX_JSON_VALUES, MalformedMessage, Signer, dump

MAX_BYTES = 1_000


def message(signer: Signer, parts: list[bytes]) -> list[bytes]:
    """A message on the wire, rightly signed."""
    return [b"topic", DELIMITER, signer.sign(parts), *parts]


class UnpackTest(unittest.TestCase):
    """Signer.unpack."""

    def setUp(self) -> None:
        self.signer = Signer(b"key")
        self.parts = [b'{"msg_type":"stream"}', b'{"msg_id":"m1"}', b"{}", b'{"text":"x"}']

    def test_reads_a_signed_message(self) -> None:
        got = self.signer.unpack(message(self.signer, self.parts), MAX_BYTES)
        self.assertEqual(
            (got.msg_type, got.parent_msg_id, got.content), ("stream", "m1", {"text": "x"})
        )

    def test_reads_what_it_packs(self) -> None:
        got = self.signer.unpack(self.signer.pack({"msg_type": "a"}, {"code": "\ud800"}), MAX_BYTES)
        self.assertEqual(got.content, {"code": "\ud800"})

    def test_reads_only_the_headers_of_a_message_that_is_too_large(self) -> None:
        self.parts[3] = b'{"text":"' + b"x" * MAX_BYTES + b'"}'
        got = self.signer.unpack(message(self.signer, self.parts), MAX_BYTES)
        self.assertEqual(got.content, {})
        self.assertGreater(got.size_bytes, MAX_BYTES)

    def test_keeps_of_malformed_content_only_whose_it_was(self) -> None:
        many = b'{"a":[' + b",".join([b"{}"] * MAX_JSON_VALUES) + b"]}"
        deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        digits = b'{"a":' + b"9" * 5_000 + b"}"
        for content in (b"[]", b"\xff", b'{"a":NaN}', b'{"a":', b"", many, deep, digits):
            self.parts[3] = content
            with self.subTest(content[:10]):
                got = self.signer.unpack(message(self.signer, self.parts), 10_000_000)
                self.assertEqual((got.msg_type, got.content), ("stream", {}))

    def test_refuses_what_is_malformed(self) -> None:
        good = message(self.signer, self.parts)
        head, parent, metadata, content = self.parts
        cases = {
            "nothing": [],
            "no delimiter": [b"x"] * 10,
            "a delimiter too late": [b"x"] * 9 + good,
            "too few parts": good[:-1],
            "another key": message(Signer(b"other"), self.parts),
            "a changed part": [*good[:-1], b"{}"],
            "no type": message(self.signer, [b"{}", parent, metadata, content]),
            "a type that is no text": message(
                self.signer, [b'{"msg_type":1}', parent, metadata, content]
            ),
            "a parent that is no text": message(
                self.signer, [head, b'{"msg_id":[]}', metadata, content]
            ),
            "headers that are too large": message(
                self.signer, [head, b'{"x":"' + b"x" * MAX_BYTES + b'"}', metadata, content]
            ),
        }
        for name, frames in cases.items():
            with self.subTest(name), self.assertRaises(MalformedMessage):
                self.signer.unpack(frames, MAX_BYTES)


class DumpTest(unittest.TestCase):
    """dump."""

    def test_writes_lone_surrogates(self) -> None:
        self.assertEqual(json.loads(dump({"a": "\ud800"})), {"a": "\ud800"})
        self.assertEqual(dump({"a": "正"}), '{"a":"正"}'.encode())


if __name__ == "__main__":
    unittest.main()
