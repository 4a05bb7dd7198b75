"""stdout and stderr in one order."""

import unittest
from typing import Any, cast

from cellhouse_kernel.kernel import MAX_EVALUE_CHARACTERS, bounded
from cellhouse_kernel.streams import MAX_MESSAGE_CHARACTERS, Chunk, OutputQueue, merge

OUT, ERR = cast(Any, "out"), cast(Any, "err")


class Merge(unittest.TestCase):
    """merge."""

    def test_joins_neighbours_and_keeps_the_order_between_streams(self) -> None:
        chunks: list[Chunk] = [
            (OUT, {"id": 1}, "a"),
            (OUT, {"id": 1}, "b"),
            (ERR, {"id": 1}, "c"),
            (OUT, {"id": 1}, "d"),
            (OUT, {"id": 2}, "e"),
        ]
        merged = [(stream, parent["id"], text) for stream, parent, text in merge(chunks)]
        self.assertEqual(merged, [(OUT, 1, "ab"), (ERR, 1, "c"), (OUT, 1, "d"), (OUT, 2, "e")])

    def test_cuts_long_text(self) -> None:
        merged = list(merge([(OUT, {}, "x" * (MAX_MESSAGE_CHARACTERS + 1))]))
        self.assertEqual([len(text) for _, _, text in merged], [MAX_MESSAGE_CHARACTERS, 1])


class Queue(unittest.TestCase):
    """OutputQueue."""

    def test_asks_for_one_flush_until_it_was_taken(self) -> None:
        queue = OutputQueue()
        self.assertTrue(queue.add((OUT, {}, "a")))
        self.assertFalse(queue.add((OUT, {}, "bc")))
        self.assertEqual(queue.waiting_characters, 3)
        self.assertEqual(len(queue.take()), 2)
        self.assertEqual(queue.waiting_characters, 0)
        self.assertTrue(queue.add((OUT, {}, "d")))


class Bounded(unittest.TestCase):
    """What an exception may put into a reply."""

    def test_cuts_the_value_and_leaves_out_a_huge_traceback(self) -> None:
        reply = bounded({"evalue": "x" * 10**6, "traceback": ["y" * 10**6]})
        self.assertEqual(len(reply["evalue"]), MAX_EVALUE_CHARACTERS)
        self.assertEqual(reply["traceback"], [])
        self.assertEqual(bounded({"status": "ok"}), {"status": "ok"})
