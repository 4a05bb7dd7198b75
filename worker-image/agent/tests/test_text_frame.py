"""WebSocket frames, of every kind of length."""

import struct
import unittest

from cellhouse_agent.text_frame import text_frames


def parse(data: bytes) -> list[bytes]:
    """The texts in these frames, read as RFC 6455 says."""
    texts = []
    while data:
        first, length = data[0], data[1]
        assert first == 0x81 and length < 128
        start = 2
        if length >= 126:
            kind = "!H" if length == 126 else "!Q"
            start += struct.calcsize(kind)
            (length,) = struct.unpack(kind, data[2:start])
        texts.append(data[start : start + length])
        data = data[start + length :]
    return texts


class TextFrames(unittest.TestCase):
    """text_frames."""

    def test_says_every_length(self) -> None:
        texts = [b"x" * size for size in (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)]
        self.assertEqual(parse(text_frames(texts)), texts)

    def test_uses_the_shortest_head(self) -> None:
        heads = [len(text_frames([b"x" * size])) - size for size in (125, 126, 65_535, 65_536)]
        self.assertEqual(heads, [2, 4, 4, 10])
