"""Bytes that a command writes, in any pieces: all of them arrive, and text arrives as text."""

import asyncio
import os
import random
import unittest

from cellhouse_agent.commands.streams import MAX_CHARACTER_BYTES, OutputPipe, split_incomplete
from tests.seeded import SEED

TEXT = "a é 漢 😀 \0".encode()
# Characters that lack their end or their beginning, bytes that UTF-8 never has, and a lone surrogate.
BINARY = (b"\xe2\x82", b"\xf0\x9f\x98", b"\x80\x80\x80\x80", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0")


class Split(unittest.TestCase):
    """split_incomplete."""

    def test_holds_back_the_beginning_of_a_character_only(self) -> None:
        for end in range(len(TEXT) + 1):
            whole, held = split_incomplete(TEXT[:end])
            self.assertEqual(whole + held, TEXT[:end])
            whole.decode()
            self.assertLess(len(held), MAX_CHARACTER_BYTES)
            self.assertTrue(not held or TEXT[len(whole) :].decode())
        self.assertEqual(split_incomplete(TEXT), (TEXT, b""))

    def test_never_holds_more_than_three_bytes(self) -> None:
        randomly = random.Random(SEED)
        for _ in range(2_000):
            data = randomly.randbytes(randomly.randrange(8))
            whole, held = split_incomplete(data)
            self.assertEqual(whole + held, data)
            self.assertLess(len(held), MAX_CHARACTER_BYTES)


class Read(unittest.IsolatedAsyncioTestCase):
    """OutputPipe."""

    def setUp(self) -> None:
        self.taken: list[tuple[bytes, bool]] = []

    async def asyncSetUp(self) -> None:
        self.pipe = OutputPipe(lambda data, is_text: self.taken.append((data, is_text)))
        self.addCleanup(self.pipe.close)
        self.writing = os.dup(self.pipe.writing)
        self.pipe.begin()

    async def test_text_that_is_written_byte_by_byte_is_text(self) -> None:
        for byte in TEXT:
            os.write(self.writing, bytes([byte]))
            # At each turn, the event loop reads the pipe.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        os.close(self.writing)
        self.pipe.read_rest()
        self.assertEqual(b"".join(data for data, _ in self.taken), TEXT)
        self.assertEqual({is_text for _, is_text in self.taken}, {True})
        self.assertGreater(len(self.taken), 3)

    async def test_other_bytes_arrive_as_they_are(self) -> None:
        for piece in BINARY:
            os.write(self.writing, piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        os.close(self.writing)
        self.pipe.read_rest()
        self.assertEqual(b"".join(data for data, _ in self.taken), b"".join(BINARY))
        self.assertEqual({is_text for _, is_text in self.taken}, {False})

    async def test_read_rest_does_not_wait_for_a_writer_that_goes_on(self) -> None:
        size = os.write(self.writing, b"x" * 65_536)
        self.pipe.read_rest()
        self.assertEqual(self.taken, [(b"x" * size, True)])
        # The pipe can be written until `close`.
        os.write(self.writing, b"more")
        self.pipe.close()
        with self.assertRaises(BrokenPipeError):
            os.write(self.writing, b"more")
        os.close(self.writing)


if __name__ == "__main__":
    unittest.main()
