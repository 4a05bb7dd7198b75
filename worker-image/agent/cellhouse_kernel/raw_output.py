"""What is written to descriptors 1 and 2 behind Python's back: by C code, and by child processes.

Each execution has pipes of its own there, so that what a process prints that an earlier execution left behind is never
taken for output of the running one. They are read before each write of Python's own, which keeps the order in which
things were written, and by a thread meanwhile.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import threading
from collections.abc import Callable
from typing import Any

# So much can be written while nobody reads, as when C code holds the interpreter. Linux allows no more by default.
PIPE_BYTES = 1_048_576
READ_BYTES = 65_536
# A process that writes without end must not keep whoever reads: the rest is for the next read.
MAX_READS = PIPE_BYTES // READ_BYTES

# Takes the header of the request that text belongs to, and the text.
TakeText = Callable[[dict[str, Any], str], None]


def _read_some(descriptor: int) -> bytes | None:
    """What is there now; None if nothing is, and b"" if nobody can write to it any more."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def _above_standard(descriptor: int) -> int:
    """The same, with a number that is none of the three: user code may have closed those, and they go first."""
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


class _Pipe:
    """One of the descriptors, with the pipe that lies behind it now."""

    def __init__(self, descriptor: int, take: TakeText, ready: select.epoll) -> None:
        self._descriptor = descriptor
        self._take = take
        self._ready = ready
        self._reading = -1
        self._parent: dict[str, Any] = {}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def renew(self) -> int:
        """Put a fresh pipe behind the descriptor; returns the reading end of the former, -1 if nobody writes there."""
        self._parent = {}
        try:
            reading, writing = map(_above_standard, os.pipe())
        except OSError:
            # User code has all descriptors open. The pipe that there is has to do: no execution may fail for want of
            # another, and least of all one that would close some.
            return -1
        former, self._reading = self._reading, reading
        os.set_blocking(self._reading, False)
        try:
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            # A user's pipes have a limit together, which processes left behind may have used up. A small one does too.
            pass
        if former >= 0:
            # Before its last writer may go, which would wake whoever watches.
            self._ready.unregister(former)
        os.dup2(writing, self._descriptor)
        os.close(writing)
        self._ready.register(self._reading, select.EPOLLIN)
        return former

    def belong_to(self, parent: dict[str, Any]) -> None:
        """What is written from now on belongs to this request; what was written before, to none."""
        self._parent = {}
        self.read()
        self._decoder.reset()
        self._parent = parent

    def read(self) -> None:
        """Hand on everything that is there."""
        for _ in range(MAX_READS):
            data = _read_some(self._reading) if self._reading >= 0 else None
            if data is None:
                return
            self._hand_on(self._decoder.decode(data, not data))
            if not data:
                # User code has closed the descriptor, and nobody else has it.
                self._ready.unregister(self._reading)
                os.close(self._reading)
                self._reading = -1

    def read_last(self) -> None:
        """Hand on everything that is there, half a character included."""
        self.read()
        self._hand_on(self._decoder.decode(b"", True))

    def _hand_on(self, text: str) -> None:
        if text and self._parent:
            self._take(self._parent, text)


class RawOutput:
    """The descriptors of the kernel process, from `start` on; a forked child has none."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._pipes: list[_Pipe] = []
        # Reentrant: a signal handler of the user's may print while its own thread reads here.
        self._lock = threading.RLock()
        # Somebody has read, or is about to, and has not handed on yet.
        self._is_reading = False
        self._ready: select.epoll | None = None
        self._watched: select.epoll | None = None
        # Reading ends that something left behind may still write to. With a lock of their own: who prints need not wait
        # while such output is forgotten. It is taken last, or alone.
        self._former: set[int] = set()
        self._former_lock = threading.Lock()
        self._is_fresh = False

    def start(self, takers: dict[int, TakeText], lock: threading.RLock) -> None:
        """Hand on what is written to these descriptors, each to its taker.

        `lock` is the one that the takers hold. It is held from a read until the text is handed on, so that nothing else
        comes in between. With a second lock, a signal handler that prints while its thread holds the first could wait
        for ever.
        """
        self._lock = lock
        self._ready = ready = select.epoll()
        self._watched = select.epoll()
        self._watched.register(ready, select.EPOLLIN)
        self._pipes = [_Pipe(descriptor, take, ready) for descriptor, take in takers.items()]
        self.renew()
        _Watch(self._watched, self._on_ready).start()

    def begin(self, parent: dict[str, Any]) -> None:
        """An execution begins."""
        if not self._is_fresh:
            self.renew()
        self._is_fresh = False
        with self._lock:
            for pipe in self._pipes:
                pipe.belong_to(parent)

    def take(self) -> None:
        """Hand on what was written until now. It comes before each write of Python's, so it must be quick."""
        # In this order: what is not there any more was read after the flag was set.
        if self._ready and (self._ready.poll(0, 1) or self._is_reading):
            self._read()

    def end(self) -> None:
        """An execution has ended: hand on the rest."""
        with self._lock:
            for pipe in self._pipes:
                pipe.read_last()

    def renew(self) -> None:
        """Get ready for the next execution. Whatever comes through the former pipes from now on belongs to nobody."""
        with self._lock, self._former_lock:
            for pipe in self._pipes:
                former = pipe.renew()
                if former < 0 or not self._watched:
                    continue
                if _read_some(former) == b"":
                    # The usual case: nothing was left behind that could write there.
                    os.close(former)
                else:
                    self._former.add(former)
                    self._watched.register(former, select.EPOLLIN)
        self._is_fresh = True

    def _discard(self, former: int) -> None:
        """Forget what was written to a former pipe; closing it instead would end who writes there."""
        if former in self._former and self._watched and _read_some(former) == b"":
            self._former.remove(former)
            self._watched.unregister(former)
            os.close(former)

    def _read(self) -> None:
        with self._lock:
            try:
                self._is_reading = True
                for pipe in self._pipes:
                    pipe.read()
            finally:
                self._is_reading = False

    def _on_ready(self, descriptor: int) -> None:
        if self._ready and descriptor == self._ready.fileno():
            self._read()
        else:
            with self._former_lock:
                self._discard(descriptor)


class _Watch(threading.Thread):
    """Calls back for each descriptor that has something to read, for ever.

    A class of its own, for ipykernel replaces `threading.Thread.run` with one that runs only threads made after it.
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


RAW_OUTPUT = RawOutput()
