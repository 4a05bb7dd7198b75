"""What the helper keeps between orders: the last look at the home, the files being written, and watchers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from cellhouse_files.changes import HomeChanges
from cellhouse_files.parts import Parts
from cellhouse_files.paths import HOME, Place, path_of
from cellhouse_files.refusals import Refused
from cellhouse_files.watchers.watchers import Watchers
from cellhouse_files.writing import Writing

NUMBER_BITS = 48


class State:
    """Keeps each writing that was begun until it is finished or given up."""

    def __init__(self, home: bytes = HOME) -> None:
        self.parts = Parts()
        self.home = HomeChanges(home, self.parts)
        self.watchers = Watchers()
        self._home_path = home
        self._touched: list[bytes] = []
        self._writings: dict[int, Writing] = {}
        # Numbers of a helper that has died must not come again.
        self._count = secrets.randbits(NUMBER_BITS)

    def keep(self, writing: Writing) -> int:
        """Keep a writing; returns the number by which `take` finds it."""
        self._count += 1
        self._writings[self._count] = writing
        return self._count

    def take(self, number: int) -> Writing:
        """The writing that is about to end; raises Refused if it was begun by a helper that has died."""
        writing = self._writings.pop(number, None)
        if writing is None:
            raise Refused("unavailable", "The file operations have started again.")
        return writing

    @contextmanager
    def touching(self, place: Place) -> Iterator[None]:
        """Note that an operation may change what is at this place. In this context, its folder may be closed."""
        path = path_of(place)
        try:
            yield
        finally:
            if path and path.startswith(self._home_path + b"/"):
                self._touched.append(path[len(self._home_path) + 1 :])

    def absorb(self) -> None:
        """Do not report what operations have touched as changes by code. Call this after each operation in CHANGING."""
        touched, self._touched = self._touched, []
        self.home.absorb(touched)
