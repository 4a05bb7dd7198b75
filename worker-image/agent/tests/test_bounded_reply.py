"""How much an exception may put into a reply."""

import unittest

from cellhouse_kernel.kernel import MAX_EVALUE_CHARACTERS, bounded


class Bounded(unittest.TestCase):
    """bounded."""

    def test_cuts_the_value_and_leaves_out_a_huge_traceback(self) -> None:
        reply = bounded({"evalue": "x" * 10**6, "traceback": ["y" * 10**6]})
        self.assertEqual(len(reply["evalue"]), MAX_EVALUE_CHARACTERS)
        self.assertEqual(reply["traceback"], [])
        self.assertEqual(bounded({"status": "ok"}), {"status": "ok"})
