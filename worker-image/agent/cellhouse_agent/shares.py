"""How much of the replay buffer each execution holds, so that one alone cannot take the room of the others."""

from __future__ import annotations

from collections import deque

# While several executions run, the output of one takes at most this part of the buffer.
MAX_SHARE = 0.5


class Run:
    """Consecutive frames of one owner. With only one lane, nearly all frames of an execution are consecutive."""

    __slots__ = ("owner", "last_seq")

    def __init__(self, owner: bytes, last_seq: int) -> None:
        self.owner = owner
        self.last_seq = last_seq


class Shares:
    """Counts what each owner holds. An owner is an execution, named by the parent header of its frames."""

    def __init__(self) -> None:
        self._running: set[bytes] = set()
        self._held: dict[bytes, int] = {}
        # The runs in the order of their frames. Each held frame is in one of them.
        self._runs: deque[Run] = deque()

    def begin(self, owner: bytes) -> None:
        """This execution begins to write output."""
        self._running.add(owner)

    def end(self, owner: bytes) -> None:
        """This execution writes no more."""
        self._running.discard(owner)

    def may_hold(self, owner: bytes, size_bytes: int, capacity_bytes: int) -> bool:
        """Whether it may hold this much more, as far as the others are concerned."""
        if not self._running or self._running == {owner}:
            return True
        return self._held.get(owner, 0) + size_bytes <= MAX_SHARE * capacity_bytes

    def add(self, owner: bytes, seq: int, size_bytes: int) -> None:
        """Count the next frame, which is held from now on."""
        self._held[owner] = self._held.get(owner, 0) + size_bytes
        if self._runs and self._runs[-1].owner == owner:
            self._runs[-1].last_seq = seq
        else:
            self._runs.append(Run(owner, seq))

    def free(self, seq: int, size_bytes: int) -> None:
        """Stop counting the oldest frame, which is held no more."""
        owner = self._runs[0].owner
        if self._runs[0].last_seq == seq:
            self._runs.popleft()
        left = self._held[owner] - size_bytes
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
