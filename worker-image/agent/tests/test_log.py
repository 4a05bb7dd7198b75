"""The agent's log, while nobody reads it: on a pipe in the place of standard output."""

import json
import os
import select
import unittest
from typing import Any

from cellhouse_agent.log import log_event

# Longer than PIPE_BUF. A write of at most PIPE_BUF bytes goes into a pipe as a whole, or not at all.
LONG_REASON = "x" * (2 * select.PIPE_BUF)


class FullLog(unittest.TestCase):
    """A pipe with room for a few bytes."""

    def setUp(self) -> None:
        self.reading, writing = os.pipe()
        os.set_blocking(self.reading, False)
        before = os.dup(1)
        os.dup2(writing, 1)
        os.close(writing)
        self.addCleanup(os.close, self.reading)
        self.addCleanup(os.close, before)
        self.addCleanup(os.dup2, before, 1)
        os.set_blocking(1, False)

    def fill(self) -> None:
        """Fill the pipe with empty lines, but for one page."""
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(1, b"\n" * select.PIPE_BUF)
        os.read(self.reading, select.PIPE_BUF)

    def taken(self) -> bytes:
        """All that is in the pipe."""
        pieces = []
        try:
            while piece := os.read(self.reading, 1_048_576):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return b"".join(pieces)

    def lines(self, data: bytes) -> list[dict[str, Any]]:
        """The lines without their times."""
        found = [json.loads(line) for line in data.splitlines() if line]
        for line in found:
            del line["time"]
        return found

    def test_a_line_that_does_not_fit_is_counted(self) -> None:
        self.fill()
        os.write(1, b"\n" * select.PIPE_BUF)
        log_event("first")
        log_event("second")
        self.taken()
        log_event("third")
        log_event("fourth")
        lines = [{"event": "third", "dropped_lines": 2}, {"event": "fourth"}]
        self.assertEqual(self.lines(self.taken()), lines)

    def test_a_long_line_of_which_a_part_fits_is_completed_before_the_next(self) -> None:
        self.fill()
        log_event("long", reason=LONG_REASON)
        log_event("dropped")
        begun = self.taken()
        log_event("next")
        lines = [{"event": "long", "reason": LONG_REASON}, {"event": "next", "dropped_lines": 1}]
        self.assertEqual(self.lines(begun + self.taken()), lines)


if __name__ == "__main__":
    unittest.main()
