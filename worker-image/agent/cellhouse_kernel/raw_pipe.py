"""A pipe behind descriptor 1 or 2: what is written there goes to one request, or to none."""

from __future__ import annotations

import codecs
import fcntl
import os
import select
from collections.abc import Callable, Iterable
from typing import Any

# How much can be written while nobody reads, for example while C code holds the interpreter. By default, Linux allows
# no more than this.
PIPE_BYTES = 1_048_576
READ_BYTES = 65_536
# A process that writes without end must not hold the reader: the rest is left for the next read.
MAX_READS = PIPE_BYTES // READ_BYTES

# Takes the header of the request that text belongs to, and the text.
TakeText = Callable[[dict[str, Any], str], None]


def read_some(descriptor: int) -> bytes | None:
    """What can be read now; None if there is nothing, and b"" if nobody can write any more."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def _above_standard(descriptor: int) -> int:
    """The file, under a number above 2: if user code has closed a standard descriptor, a new one gets its number."""
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def _inode(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


class RawPipe:
    """One of the descriptors, with the pipe that lies behind it now."""

    def __init__(self, descriptor: int, take: TakeText, told: Iterable[select.epoll]) -> None:
        self._descriptor = descriptor
        self._take = take
        # These report when there is something to read.
        self._told = tuple(told)
        self._reading = -1
        self._inode = (-1, -1)
        self._parent: dict[str, Any] = {}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def renew(self) -> int:
        """Put a fresh pipe behind the descriptor; returns the reading end of the former pipe, -1 if there is none."""
        self._parent = {}
        try:
            reading, writing = map(_above_standard, os.pipe())
        except OSError:
            # User code has used up all descriptors. The old pipe stays, since an execution must not fail for want of a
            # new pipe: it may be the one that closes descriptors. The next execution gets a new pipe again.
            self._inode = (-1, -1)
            return -1
        former, self._reading = self._reading, reading
        os.set_blocking(self._reading, False)
        try:
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            # All pipes of a user share a limit, which leftovers may have used up. A small pipe is sufficient.
            pass
        if former >= 0:
            # This comes before `dup2`, which may close the last writing end and so wake the watching thread.
            self._forget(former)
        os.dup2(writing, self._descriptor)
        self._inode = _inode(writing)
        os.close(writing)
        for each in self._told:
            each.register(self._reading, select.EPOLLIN)
        return former

    def _forget(self, reading: int) -> None:
        for each in self._told:
            each.unregister(reading)

    def is_as_renewed(self) -> bool:
        """Whether the descriptor is still what `renew` made it."""
        try:
            return (
                self._reading >= 0
                and _inode(self._descriptor) == self._inode
                and fcntl.fcntl(self._descriptor, fcntl.F_GETFL) == os.O_WRONLY
            )
        except OSError:
            return False

    def belong_to(self, parent: dict[str, Any], has_more: bool) -> None:
        """Assign later output to this request. Output from before, if there is any (`has_more`), belongs to none."""
        self._parent = {}
        if has_more:
            self.read()
        self._decoder.reset()
        self._parent = parent

    def read(self) -> None:
        """Pass on everything that is there."""
        for _ in range(MAX_READS):
            data = read_some(self._reading) if self._reading >= 0 else None
            if data is None:
                return
            self._hand_on(self._decoder.decode(data, not data))
            if not data:
                # User code has closed the descriptor, and nobody else has it.
                self._forget(self._reading)
                os.close(self._reading)
                self._reading = -1

    def read_last(self, has_more: bool) -> None:
        """Pass on everything that is there, if `has_more`, and a last incomplete character."""
        if has_more:
            self.read()
        self._hand_on(self._decoder.decode(b"", True))

    def _hand_on(self, text: str) -> None:
        if text and self._parent:
            self._take(self._parent, text)
