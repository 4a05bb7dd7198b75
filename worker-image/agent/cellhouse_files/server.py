"""The helper's loop: takes orders from the agent over a SOCK_SEQPACKET socket, and answers each.

Each packet is one JSON object of at most MAX_PACKET_BYTES. Paths in it are text of one character for each byte.

    from the agent:   {"id": 7, "do": "stat", ...fields}        with a descriptor where the operation needs one
                      {"id": 7, "end": true}                    nobody wants the answer any more
    from the helper:  {"ready": true}                           it has the user's rights
                      {"id": 7, "done": {...}}                  with a descriptor where the operation gives one
                      {"id": 7, "refused": "not_found", "message": "..."}

The operations are in helper.py. When the agent is gone, the helper ends.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cellhouse_files.home_changes import HomeChanges
from cellhouse_files.paths import HOME, Place, path_of
from cellhouse_files.refusals import Refused, refusal_of
from cellhouse_files.turns import Scheduler, Task, TaskTimedOut, Turns
from cellhouse_files.watchers import Watchers
from cellhouse_files.writing import Parts, Writing

MAX_PACKET_BYTES = 131_072
# An answer that may be longer comes as a file in memory.
MAX_DESCRIPTORS = 1
# How long an operation waits for the process at the other end of its pipe.
SILENCE_SECONDS = 60.0
NUMBER_BITS = 48

# Operations that may change the home. The changes of code that runs meanwhile are reported as shared.
CHANGING = frozenset(
    {"write", "finish_write", "give_up_write", "make_folder", "move", "delete", "write_archive"}
)

type Fields = dict[str, Any]
type Operation = Callable[[State, Fields, int | None], Turns[Answer]]


class Answer:
    """The answer of an operation: fields, and a descriptor that is closed once it is sent."""

    def __init__(self, fields: Fields, descriptor: int | None = None) -> None:
        self.fields = fields
        self.descriptor = descriptor

    @classmethod
    def in_memory(cls, text: str) -> Answer:
        """An answer whose text may be long: the text in a file in memory, and its size. Raises OSError."""
        encoded = text.encode()
        memory = os.memfd_create("answer")
        try:
            with os.fdopen(memory, "wb", closefd=False) as file:
                file.write(encoded)
        except BaseException:
            os.close(memory)
            raise
        return cls({"size": len(encoded)}, memory)


def required(descriptor: int | None) -> int:
    """The descriptor that comes with an order. Linux drops it if this process has no free one; then raises Refused."""
    if descriptor is None:
        raise Refused("busy", "The helper for files has too many files open.")
    return descriptor


class Helper:
    """Serves one agent until it hangs up."""

    def __init__(self, control: socket.socket, operations: dict[str, Operation]) -> None:
        self._control = control
        self._operations = operations
        self._state = State()
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._scheduler = Scheduler(self._poll, SILENCE_SECONDS)
        self._tasks: dict[int, Task] = {}

    def serve(self) -> None:
        """Answer until the agent is gone."""
        self._say({"ready": True})
        control = self._control.fileno()
        while True:
            for fd, _ in self._poll.poll(self._scheduler.timeout_ms()):
                if fd != control:
                    self._scheduler.wake(fd)
                elif not self._take_order():
                    return
            self._scheduler.run_once()

    def _take_order(self) -> bool:
        try:
            packet, descriptors, *_ = socket.recv_fds(
                self._control, MAX_PACKET_BYTES, MAX_DESCRIPTORS
            )
        except ConnectionResetError:
            return False
        if not packet:
            return False
        order = json.loads(packet)
        number = order.pop("id")
        if "end" in order:
            task = self._tasks.pop(number, None)
            if task:
                self._scheduler.end(task)
            return True
        descriptor = descriptors[0] if descriptors else None
        task = self._scheduler.add(self._run(number, order, descriptor))
        if not task.is_over:
            self._tasks[number] = task
        return True

    def _run(self, number: int, order: Fields, descriptor: int | None) -> Turns[None]:
        """Carry out one order, and answer it."""
        answer = Answer({})
        name = order.pop("do", "")
        try:
            answer = yield from self._operations[name](self._state, order, descriptor)
            told: Fields = {"id": number, "done": answer.fields}
        except Refused as refused:
            told = _refusal(number, refused)
        except TaskTimedOut:
            told = _refusal(number, Refused("timed_out", "Nothing moved for a while."))
        except OSError as error:
            told = _refusal(number, refusal_of(error))
        # A defect costs one operation, not the helper.
        except Exception as error:
            told = _refusal(number, Refused("internal", type(error).__name__))
        finally:
            if name in CHANGING:
                self._state.absorb()
            self._state.watchers.forget_unused()
            self._tasks.pop(number, None)
            if descriptor is not None:
                os.close(descriptor)
        self._say(told, answer.descriptor)

    def _say(self, told: Fields, descriptor: int | None = None) -> None:
        try:
            packet = json.dumps(told).encode()
            socket.send_fds(self._control, [packet], [] if descriptor is None else [descriptor])
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _refusal(number: int, refused: Refused) -> Fields:
    return {"id": number, "refused": refused.code, "message": str(refused)}


class State:
    """The state that the helper keeps between orders: the last look at the home, the files being written, and watchers.

    Each writing that was begun is kept until it is finished or given up.
    """

    def __init__(self, home: bytes = HOME) -> None:
        self.parts = Parts()
        self.home = HomeChanges(home, self.parts)
        self.watchers = Watchers()
        self._home_path = home
        self._touched: list[bytes] = []
        self._writings: dict[int, Writing] = {}
        # A random start: the number of a writing that a dead helper began must not name one of this helper.
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
        """Note that an operation may change the entry at this place. Within this context, the folder may be closed."""
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
