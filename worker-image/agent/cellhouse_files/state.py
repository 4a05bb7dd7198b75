"""What the helper keeps between orders: the files that are just being written."""

from __future__ import annotations

import secrets

from cellhouse_files.refusals import Refused
from cellhouse_files.writing import Writing

NUMBER_BITS = 48
# The agent has fewer operations under way at once.
MAX_WRITINGS = 64


class State:
    """Keeps each writing that was begun until it is finished or given up."""

    def __init__(self) -> None:
        self._writings: dict[int, Writing] = {}
        # Numbers of a helper that has died must not come again.
        self._count = secrets.randbits(NUMBER_BITS)

    def keep(self, writing: Writing) -> int:
        """Returns the number that stands for the writing; raises Refused, and gives it up, when there are too many."""
        if len(self._writings) >= MAX_WRITINGS:
            writing.give_up()
            raise Refused("busy", "Too many files are being written.")
        self._count += 1
        self._writings[self._count] = writing
        return self._count

    def take(self, number: int) -> Writing:
        """The writing that is about to end; raises Refused if it was begun by a helper that has died."""
        writing = self._writings.pop(number, None)
        if writing is None:
            raise Refused("unavailable", "The file operations have started again.")
        return writing
