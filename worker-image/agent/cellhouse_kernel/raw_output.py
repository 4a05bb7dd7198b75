"""Reads the output that C code and child processes write directly to descriptors 1 and 2.

Each execution has pipes of its own behind these descriptors, so that the output of a leftover process is never taken
for output of the running execution. (If no process or thread was made since the pipes were renewed, no leftover can
have them. Then the next execution keeps them, so that a duplicate of such a descriptor still works.) The pipes are read
before each write to Python's own streams, which keeps the order of writing. Between these writes, a thread reads the
pipes.

One lock is held from each read until its text has been passed on, and during each poll of the pipes. So text that was
written before a poll is either still in the pipe, or has been passed on.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cellhouse_kernel.births import Births

# How much can be written while nobody reads, for example while C code holds the interpreter. By default, Linux allows
# no more than this.
PIPE_BYTES = 1_048_576
READ_BYTES = 65_536
# A process that writes without end must not hold the reader: the rest is left for the next read.
MAX_READS = PIPE_BYTES // READ_BYTES

# Takes the header of the request that text belongs to, and the text.
TakeText = Callable[[dict[str, Any], str], None]


class RawOutput:
    """The descriptors of the kernel process, from `start` on. A forked child reads none."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._pipes: list[RawPipe] = []
        # Reentrant: a signal handler of the user's may print while its own thread reads here.
        self._lock = threading.RLock()
        # `_ready` is for polling the pipes, under the lock. The thread waits on `_watched`. With one epoll for both, a
        # poll could find nothing while Linux is just reporting the event to the thread.
        self._ready: select.epoll | None = None
        self._watched: select.epoll | None = None
        # Reading ends of pipes that leftovers may still write to. They have a lock of their own, so that no print waits
        # while such output is discarded. This lock is taken last, or alone.
        self._former: set[int] = set()
        self._former_lock = threading.Lock()
        self._is_fresh = False
        # None where the system does not show new processes.
        self._births: Births | None = None

    def start(self, takers: dict[int, TakeText], lock: threading.RLock) -> None:
        """Pass on the output on these descriptors, that of each to its taker.

        `lock` is the lock that the takers hold. It is held from a read until the text is passed on, so that nothing
        else comes in between. With two locks, a signal handler that prints could take them in the opposite order to
        another thread, and wait for ever.
        """
        self._lock = lock
        self._ready = select.epoll()
        self._watched = select.epoll()
        epolls = (self._ready, self._watched)
        self._pipes = [RawPipe(descriptor, take, epolls) for descriptor, take in takers.items()]
        self.renew()
        watch = _Watch(self._watched, self._on_ready)
        try:
            births = Births()
            births.any()
        except OSError:
            watch.start()
            return
        watch.start()
        # The thread that was just started must be noticed. If it is not, the system does not show new processes.
        self._births = births if births.any() else None

    def begin(self, parent: dict[str, Any]) -> None:
        """An execution begins."""
        if not self._is_fresh:
            self.renew()
        self._is_fresh = False
        self._belong_to(parent)

    def _belong_to(self, parent: dict[str, Any]) -> None:
        with self._lock:
            has_more = self._has_more()
            for pipe in self._pipes:
                pipe.belong_to(parent, has_more)

    def _has_more(self) -> bool:
        return bool(self._ready and self._ready.poll(0, 1))

    def take(self) -> None:
        """Pass on the output until now. Called before each write to Python's streams, so it must be quick."""
        ready = self._ready
        if ready:
            with self._lock:
                if ready.poll(0, 1):
                    self._read()

    def end(self) -> None:
        """An execution has ended: pass on the rest."""
        with self._lock:
            has_more = self._has_more()
            for pipe in self._pipes:
                pipe.read_last(has_more)

    def renew(self) -> None:
        """Get ready for the next execution. Later output through the former pipes is discarded."""
        has_births = not self._births or self._births.any()
        if has_births or not all(pipe.is_as_renewed() for pipe in self._pipes):
            self._renew_pipes()
        else:
            self._belong_to({})
        self._is_fresh = True

    def _renew_pipes(self) -> None:
        with self._lock, self._former_lock:
            for pipe in self._pipes:
                former = pipe.renew()
                if former < 0 or not self._watched:
                    continue
                if read_some(former) == b"":
                    # The usual case: there is no leftover that could write there.
                    os.close(former)
                else:
                    self._former.add(former)
                    self._watched.register(former, select.EPOLLIN)

    def _discard(self, former: int) -> None:
        """Discard the output in a former pipe. If the pipe were closed instead, its writers would get SIGPIPE."""
        if former in self._former and self._watched and read_some(former) == b"":
            self._former.remove(former)
            self._watched.unregister(former)
            os.close(former)

    def _read(self) -> None:
        with self._lock:
            for pipe in self._pipes:
                pipe.read()

    def _on_ready(self, descriptor: int) -> None:
        if descriptor in self._former:
            with self._former_lock:
                self._discard(descriptor)
        else:
            self._read()


class _Watch(threading.Thread):
    """Calls back for each descriptor that has something to read, for ever.

    It overrides `run`, so that code that replaces `threading.Thread.run`, as a stock ipykernel does, cannot stop it.
    """

    def __init__(self, watched: select.epoll, on_ready: Callable[[int], None]) -> None:
        super().__init__(name="RawOutput", daemon=True)
        self._watched = watched
        self._on_ready = on_ready

    def run(self) -> None:
        """Wait and call back."""
        while True:
            for descriptor, _ in self._watched.poll():
                self._on_ready(descriptor)


def read_some(descriptor: int) -> bytes | None:
    """The bytes that can be read now; None if there are none, and b"" if nobody can write any more."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def _above_standard(descriptor: int) -> int:
    """Move the file to a descriptor above 2: if user code has closed descriptor 1, a new file gets that number."""
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def _inode_of(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


class RawPipe:
    """One of the descriptors, with the pipe that lies behind it now.

    Its output goes to one request, or to none.
    """

    def __init__(self, descriptor: int, take: TakeText, epolls: Iterable[select.epoll]) -> None:
        self._descriptor = descriptor
        self._take = take
        # These report when there is something to read.
        self._epolls = tuple(epolls)
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
            # User code has used up all descriptors. The old pipe stays. The execution must not fail now: its code may
            # be about to close descriptors. The next execution gets a new pipe again.
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
        self._inode = _inode_of(writing)
        os.close(writing)
        for each in self._epolls:
            each.register(self._reading, select.EPOLLIN)
        return former

    def _forget(self, reading: int) -> None:
        for each in self._epolls:
            each.unregister(reading)

    def is_as_renewed(self) -> bool:
        """Whether the descriptor still leads to the pipe of the last `renew`, in the same mode."""
        try:
            return (
                self._reading >= 0
                and _inode_of(self._descriptor) == self._inode
                and fcntl.fcntl(self._descriptor, fcntl.F_GETFL) == os.O_WRONLY
            )
        except OSError:
            return False

    def belong_to(self, parent: dict[str, Any], has_more: bool) -> None:
        """Assign later output to this request. Output from before is discarded; `has_more` says if there is any."""
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
                # User code has closed the descriptor, and no other process has the pipe open.
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


RAW_OUTPUT = RawOutput()
