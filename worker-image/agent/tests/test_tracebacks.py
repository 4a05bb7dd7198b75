"""Tracebacks lose their middle only while they are shown."""

import sys
import unittest
from types import TracebackType

from cellhouse_kernel.errors import (
    INNER_FRAMES,
    MAX_CHAINED,
    OUTER_FRAMES,
    chain_of,
    inner_frames,
    short_chain,
    shortened,
)


def frames(trace: TracebackType | None) -> int:
    """How many frames a traceback has."""
    count = 0
    while trace is not None:
        count += 1
        trace = trace.tb_next
    return count


def raised(depth: int) -> ValueError:
    """An exception with this many frames, and one more."""

    def down(left: int) -> None:
        if left == 1:
            raise ValueError("deep")
        down(left - 1)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 1_000)
    try:
        down(depth)
    except ValueError as error:
        return error
    finally:
        sys.setrecursionlimit(limit)
    raise AssertionError


class TracebacksTest(unittest.TestCase):
    """Long tracebacks, and chains of exceptions."""

    def test_leaves_a_short_traceback_alone(self) -> None:
        error = raised(100)
        self.assertEqual(shortened(error.__traceback__), (error.__traceback__, 0))

    def test_leaves_out_outer_frames_unless_there_are_no_others(self) -> None:
        trace = raised(2).__traceback__
        self.assertEqual([frames(inner_frames(trace, offset)) for offset in range(4)], [3, 2, 1, 3])
        self.assertIsNone(inner_frames(None, 1))

    def test_keeps_both_ends_of_a_long_traceback(self) -> None:
        error = raised(5_000)
        trace, left_out = shortened(error.__traceback__)
        self.assertEqual(frames(trace), OUTER_FRAMES + INNER_FRAMES)
        self.assertEqual(left_out, 5_001 - OUTER_FRAMES - INNER_FRAMES)

    def test_restores_the_traceback_and_the_chain(self) -> None:
        error = raised(5_000)
        last = error
        for _ in range(2 * MAX_CHAINED):
            last.__context__ = ValueError("older")
            last = last.__context__
        with short_chain(error) as left_out:
            self.assertGreater(left_out, 0)
            self.assertLess(frames(error.__traceback__), 2_000)
            self.assertIsNone(list(chain_of(error))[-1].__context__)
        self.assertEqual(frames(error.__traceback__), 5_001)
        self.assertIsNotNone(list(chain_of(error))[-1].__context__)


if __name__ == "__main__":
    unittest.main()
