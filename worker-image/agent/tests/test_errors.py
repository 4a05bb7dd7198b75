"""The report of an exception always has the name of its class and the head of its text."""

import unittest
from typing import NoReturn

from cellhouse_kernel.errors import DROPPED_BYTES_KEY, MAX_VALUE_CHARACTERS, error_content


class Unspeakable(Exception):
    """An exception whose `str()` fails."""

    def __str__(self) -> NoReturn:
        raise ValueError


class ErrorContentTest(unittest.TestCase):
    """One test for each thing that can be too long or missing."""

    def test_keeps_a_short_error_whole(self) -> None:
        content = error_content(ValueError, ValueError("é"), ["head\n", "tail\n"])
        self.assertEqual((content["ename"], content["evalue"]), ("ValueError", "é"))
        self.assertEqual(content["traceback"], ["head\n", "tail\n"])
        self.assertEqual(content[DROPPED_BYTES_KEY], 0)

    def test_names_an_exception_whose_text_cannot_be_read(self) -> None:
        content = error_content(Unspeakable, Unspeakable(), [])
        self.assertEqual(content["evalue"], "<exception Unspeakable: its str() failed>")

    def test_cuts_a_long_name_of_a_class(self) -> None:
        content = error_content(type("N" * 20_000_000, (Exception,), {}), ValueError(), [])
        self.assertEqual(content["ename"], "N" * 1_000 + "… [19999000 more characters]")
        self.assertEqual(content[DROPPED_BYTES_KEY], 19_999_000)

    def test_counts_in_bytes_what_it_cuts(self) -> None:
        text = "x" * MAX_VALUE_CHARACTERS + "éé"
        content = error_content(ValueError, ValueError(text), [])
        self.assertTrue(content["evalue"].endswith("x… [2 more characters]"))
        self.assertEqual(content[DROPPED_BYTES_KEY], 4)

    def test_cuts_a_long_entry_of_the_traceback(self) -> None:
        content = error_content(ValueError, ValueError(), ["head\n", "y" * 100_000])
        self.assertTrue(content["traceback"][1].endswith("more characters]"))

    def test_leaves_out_the_middle_of_a_long_traceback(self) -> None:
        lines = ["head\n", *(f"{number:04}".ljust(1_000, ".") for number in range(1_200))]
        content = error_content(ValueError, ValueError(), lines)
        kept = content["traceback"]
        self.assertEqual(kept[:2], ["head\n", "[200 entries are left out]\n"])
        self.assertEqual((kept[2][:4], kept[-1][:4]), ("0200", "1199"))
        self.assertEqual(content[DROPPED_BYTES_KEY], 200_000)


if __name__ == "__main__":
    unittest.main()
