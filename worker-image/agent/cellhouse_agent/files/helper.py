"""Asks the helper that acts on files as the user (cellhouse_files/server.py describes the protocol).

States: starting -> ready -> ended. A helper that has ended is replaced; its open operations are refused as
`unavailable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cellhouse_agent.log import log_event
from cellhouse_agent.processes.children import keep_process
from cellhouse_files.server import CHANGING, MAX_DESCRIPTORS, MAX_PACKET_BYTES
from cellhouse_files.writing import make_memory
from cellhouse_kernel.forking import Forked

MODULE = "cellhouse_files"
# Nobody waits for the answer to the first order.
TAKE_OVER = {"id": 0, "do": "take_over_parts"}
# An operation has at most this long to answer: far longer than deleting all that fits on the disks takes. A helper that
# is silent for longer is stuck, and is replaced.
ANSWER_TIMEOUT_SECONDS = 120.0

type Fields = dict[str, Any]


class FileRefused(Exception):
    """The operation was refused with a code of docs/internals/worker-protocol.md, "Files"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Answered:
    """The fields of an answer, and its descriptor, which the caller closes."""

    def __init__(self, fields: Fields, descriptor: int | None) -> None:
        self.fields = fields
        self.descriptor = descriptor


class FilesHelper:
    """Keeps one helper running, and asks it.

    The first may have been forked already; any other is a fresh interpreter.
    """

    def __init__(self, first: Forked | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._control: socket.socket | None = None
        self._is_ready = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._changing = 0
        # Counts the begins and ends of operations that may change the home.
        self.changes = 0
        self.on_ready: Callable[[], None] = _nobody_asked
        self.on_ended: Callable[[], None] = _nobody_asked
        # The memory in which the helper notes its part files. If it is killed, the next helper removes those files.
        self._parts: int | None = make_memory()
        self._upkeep = asyncio.create_task(keep_process(first, MODULE, self._serve))

    async def ask(self, do: str, fields: Fields) -> Answered:
        """Have an operation carried out. Raises FileRefused."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                return await self.stream(do, fields)
        except TimeoutError as error:
            self._hang_up()
            raise FileRefused("timed_out", "The file operation took too long.") from error

    async def stream(self, do: str, fields: Fields, descriptor: int | None = None) -> Answered:
        """Like `ask`, for an operation that reads from or writes to a pipe, and so may take any time.

        `descriptor` is the helper's end of the pipe; the caller closes it. If the caller is cancelled, the operation
        ends. Raises FileRefused.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Answered] = self._loop.create_future()
        self._waiting[number] = answer
        change = 1 if do in CHANGING else 0
        try:
            self._changing += change
            self.changes += change
            self._send({"id": number, "do": do, **fields}, descriptor)
            return await answer
        except asyncio.CancelledError:
            self._forget(number, answer)
            raise
        finally:
            self._waiting.pop(number, None)
            self._changing -= change
            self.changes += change

    @property
    def is_changing(self) -> bool:
        """Whether an operation that may change the home is under way."""
        return self._changing > 0

    async def wait_ready(self) -> None:
        """Return when there is a helper to ask."""
        await self._is_ready.wait()

    async def close(self) -> None:
        """End the helper."""
        self._upkeep.cancel()
        await asyncio.wait([self._upkeep])
        close_descriptor(self._parts)
        self._parts = None

    def _forget(self, number: int, answer: asyncio.Future[Answered]) -> None:
        """Nobody wants the answer any more. Never raises.

        If the helper cannot be told, because its socket is full or it has just ended, an operation that still runs is
        completed, and its answer is thrown away.
        """
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            close_descriptor(answer.result().descriptor)
        elif self._control:
            with contextlib.suppress(FileRefused):
                self._send({"id": number, "end": True}, None)

    def _send(self, order: Fields, descriptor: int | None) -> None:
        try:
            if self._control is None:
                raise OSError
            packet = json.dumps(order).encode()
            socket.send_fds(self._control, [packet], [] if descriptor is None else [descriptor])
        except BlockingIOError as error:
            raise FileRefused("busy", "Too many file operations wait.") from error
        except OSError as error:
            raise FileRefused("unavailable", "The helper for files is being restarted.") from error

    async def _serve(self, control: socket.socket) -> None:
        """Take the answers of one helper until it ends."""
        control.setblocking(False)
        self._has_ended.clear()
        self._loop.add_reader(control.fileno(), self._receive, control)
        try:
            await self._has_ended.wait()
        finally:
            self._loop.remove_reader(control.fileno())
            self._control = None
            self._is_ready.clear()
            control.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(
                        FileRefused("unavailable", "The helper for files has just ended.")
                    )
            self.on_ended()
        log_event("files_helper_ended")

    def _hang_up(self) -> None:
        self._has_ended.set()

    def _receive(self, control: socket.socket) -> None:
        try:
            packet, descriptors, *_ = socket.recv_fds(control, MAX_PACKET_BYTES, MAX_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        if not packet:
            self._hang_up()
            return
        message = json.loads(packet)
        if "ready" in message:
            self._control = control
            # If the helper has died already, the next read of the socket shows it.
            with contextlib.suppress(FileRefused):
                self._send(TAKE_OVER, self._parts)
            self._is_ready.set()
            self.on_ready()
            return
        descriptor = descriptors[0] if descriptors else None
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            close_descriptor(descriptor)
        elif "done" in message:
            answer.set_result(Answered(message["done"], descriptor))
        else:
            close_descriptor(descriptor)
            answer.set_exception(FileRefused(message["refused"], message["message"]))


def _nobody_asked() -> None:
    """The callback before the owner sets its own: does nothing."""


def close_descriptor(descriptor: int | None) -> None:
    """Close it, if there is one."""
    if descriptor is not None:
        os.close(descriptor)


# Each operation takes a connection and a descriptor or two. A transfer whose client has stopped reading counts until
# its connection is cut.
MAX_PARALLEL = 32


class OtherWorker(Exception):
    """The caller means another worker, or an earlier start of this one; `reason` is the error of the answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FilesAccess:
    """Knows who may use this worker's files: any gateway that knows the worker's session id and the agent's boot id.

    The first session id that a caller names is the worker's for ever.
    """

    def __init__(self, boot_id: str) -> None:
        self._boot_id = boot_id
        self._session_id: str | None = None
        self._parallel = 0

    def check(self, session_id: str, boot_id: str) -> None:
        """Raises OtherWorker."""
        if boot_id != self._boot_id:
            raise OtherWorker("other_boot")
        self._session_id = self._session_id or session_id
        if session_id != self._session_id:
            raise OtherWorker("other_session")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One operation under way; raises FileRefused when there are too many."""
        if self._parallel >= MAX_PARALLEL:
            raise FileRefused("busy", f"At most {MAX_PARALLEL} file operations run at once.")
        self._parallel += 1
        try:
            yield
        finally:
            self._parallel -= 1
