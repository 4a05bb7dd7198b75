"""Long operations take turns: each is a generator that yields after a while, or when it must wait for a descriptor.

So one thread is enough. Threads and processes count against the worker's limit, which user code may have used up.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True)
class Wait:
    """The operation can go on when this descriptor is ready for one of `events`, a mask as for select.poll."""

    fd: int
    events: int


# Yields None to let others have a turn.
type Turns[Result] = Generator[Wait | None, None, Result]


@dataclass
class Task:
    """An operation under way, ready or waiting."""

    turns: Generator[Wait | None, None, None]
    wait: Wait | None = None
    waits_until: float = 0.0
    is_over: bool = False


class TaskTimedOut(Exception):
    """Thrown into an operation that has waited for too long."""


class Scheduler:
    """Runs tasks by turns. An operation that waits for longer than `silence_seconds` gets TaskTimedOut."""

    def __init__(self, poll: select.poll, silence_seconds: float) -> None:
        self._poll = poll
        self._silence = silence_seconds
        self._ready: deque[Task] = deque()
        self._waiting: dict[int, Task] = {}

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting)

    def add(self, turns: Generator[Wait | None, None, None]) -> Task:
        """Begin a task; its first turn is now, since most need no more."""
        task = Task(turns)
        self._step(task)
        return task

    def end(self, task: Task) -> None:
        """End a task, whether it is ready or waits."""
        self._forget(task)
        task.turns.close()

    def timeout_ms(self) -> int | None:
        """How long the poll may wait."""
        if self._ready:
            return 0
        if not self._waiting:
            return None
        first = min(task.waits_until for task in self._waiting.values())
        return max(0, int((first - time.monotonic()) * 1_000)) + 1

    def wake(self, fd: int) -> None:
        """Let the task that waits for this descriptor go on."""
        task = self._waiting.get(fd)
        if task:
            self._forget(task)
            self._ready.append(task)

    def run_once(self) -> None:
        """Give each ready task a turn, and give up those that have waited for too long."""
        for _ in range(len(self._ready)):
            self._step(self._ready.popleft())
        now = time.monotonic()
        for task in [task for task in self._waiting.values() if task.waits_until < now]:
            self._forget(task)
            self._step(task, TaskTimedOut())

    def _step(self, task: Task, error: Exception | None = None) -> None:
        try:
            wait = task.turns.throw(error) if error else next(task.turns)
        except StopIteration:
            task.is_over = True
            return
        if wait is None:
            self._ready.append(task)
            return
        task.wait, task.waits_until = wait, time.monotonic() + self._silence
        self._waiting[wait.fd] = task
        self._poll.register(wait.fd, wait.events)

    def _forget(self, task: Task) -> None:
        if task.wait:
            self._waiting.pop(task.wait.fd, None)
            self._poll.unregister(task.wait.fd)
            task.wait = None
        elif task in self._ready:
            self._ready.remove(task)
