"""Stands in for ipykernel's sockets and streams: the kernel's end of the link to the agent.

ipykernel hands messages to `Session.send` with a socket, and text to a stream with a thread that sends it. ipykernel
buffers each stream for 0.2 s, so lines of stdout and stderr change places, and a first line comes late. Here messages
and text go to one outbox, in the order in which they were written. Mostly, the calling thread sends. Text and a cell's
last messages may wait for another.

`follow_starters` decides which request a thread prints for: the request whose code started the thread, however long the
thread lives.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from ipykernel.iostream import IOPubThread, OutStream
from jupyter_client.session import Session

from cellhouse_kernel.outbox import Outbox, pack, pack_message
from cellhouse_kernel.raw_output import RAW_OUTPUT

# These come last in a cell. They are sent together with the reply and the `idle` that follow.
LAST_TYPES = frozenset({"execute_result", "error"})
# The descriptor behind each stream: see raw_output.py.
DESCRIPTORS = {"stdout": 1, "stderr": 2}

Header = dict[str, Any]
Parents = list[tuple[ContextVar[Header], Header]]

# The request of each thread that was not made with `threading`.
_known = threading.local()


class Channel:
    """In place of a ZeroMQ socket: `shell` for replies, `iopub` for everything else."""

    def __init__(self, outbox: Outbox, name: bytes) -> None:
        self.outbox = outbox
        self.name = name


class LinkThread(IOPubThread):
    """In place of ipykernel's sending thread, of which only the interface is left."""

    def __init__(self, outbox: Outbox) -> None:
        # Without the base's __init__, which makes sockets and an event loop.
        self.outbox = outbox
        self.background_socket: Any = Channel(outbox, b"iopub")
        self.io_loop: Any = None
        self._is_closed = False

    def start(self) -> None:
        """Begin to send waiting text."""
        self.outbox.start()

    def stop(self) -> None:
        """Send what is left."""
        self.outbox.flush()

    def close(self) -> None:
        """Remember that it was closed; there is nothing to release."""
        self._is_closed = True

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def schedule(self, f: Callable[[], Any]) -> None:
        """Call `f` now, in this thread: nothing here needs a particular thread."""
        f()


class LinkSession(Session):
    """Sends messages over the link; given another socket, it sends as its base class does."""

    def send(self, stream: Any, msg_or_type: Any, *args: Any, **kwargs: Any) -> Any:
        """Pack and send a message; returns it."""
        if not isinstance(stream, Channel):
            return super().send(stream, msg_or_type, *args, **kwargs)
        return self._send(stream, msg_or_type, *args, **kwargs)

    def _send(
        self,
        channel: Channel,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> Any:
        """The parameters are those of Session.send; there is one peer, and nothing to track."""
        message = msg_or_type
        if isinstance(msg_or_type, str):
            message = self.msg(msg_or_type, content, parent, header, metadata)
        packed = pack_message(
            channel.name,
            message["header"]["msg_type"],
            message["parent_header"].get("msg_id", ""),
            pack(message["content"]),
            pack(message["metadata"]),
            tuple(bytes(buffer) for buffer in buffers or message.get("buffers", ())),
        )
        is_last = channel.name == b"shell" or message["header"]["msg_type"] in LAST_TYPES
        channel.outbox.add_message(packed, can_wait=is_last)
        return message


class OrderedOutStream(OutStream):
    """stdout or stderr: ipykernel's stream, writing into the common outbox."""

    @property
    def parent_header(self) -> dict[str, Any]:
        """The header of the request that the calling thread or task works for."""
        try:
            return self._parent_header.get()
        except LookupError:
            return unknown_thread_parent(self._parent_header_global)

    @parent_header.setter
    def parent_header(self, header: dict[str, Any]) -> None:
        self._parent_header_global = header
        self._parent_header.set(header)

    def write(self, string: str) -> int:
        """Send text, soon."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        if self.pub_thread is None:
            raise ValueError("I/O operation on closed file")
        RAW_OUTPUT.take()
        if string:
            self.add(self.parent_header, string)
        return len(string)

    def add(self, parent: dict[str, Any], text: str) -> None:
        """Send text that belongs to the request with this header."""
        thread: Any = self.pub_thread
        thread.outbox.add_text(self.name, parent.get("msg_id", ""), text)

    def flush(self) -> None:
        """Send now. On return, the text has left this process, and arrives even if the process ends immediately."""
        if self.pub_thread is not None:
            RAW_OUTPUT.take()
            self.pub_thread.outbox.flush_text()

    def fileno(self) -> int:
        """This stream's descriptor: text that C code or a child process writes there becomes output of this stream."""
        return DESCRIPTORS[self.name]


def unknown_thread_parent(current: Header) -> Header:
    """For a thread that was not made with `threading`: the request that ran when it first printed."""
    if not hasattr(_known, "parent"):
        _known.parent = current
    parent: Header = _known.parent
    return parent


def follow_starters(variables: list[ContextVar[Header]]) -> None:
    """Let a thread print for the request that starts it, and a task in a thread pool for the request that submits it.

    ipykernel wraps `Thread.run`, which a subclass may replace, and finds threads by their ids, which Linux reuses.
    """
    start: Any = threading.Thread.start

    @functools.wraps(start)
    def start_for_caller(thread: threading.Thread) -> None:
        _bind_run(thread, _current(variables))
        start(thread)

    threading.Thread.start = start_for_caller  # type: ignore[assignment,method-assign]
    submit: Any = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submit_for_caller(
        pool: ThreadPoolExecutor, task: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        return submit(pool, _bound(task, _current(variables)), *args, **kwargs)

    ThreadPoolExecutor.submit = submit_for_caller  # type: ignore[assignment,method-assign]


def _current(variables: list[ContextVar[Header]]) -> Parents:
    return [(variable, parent) for variable in variables if (parent := variable.get(None))]


def _bind_run(thread: Any, parents: Parents) -> None:
    run = thread.run

    def run_bound() -> None:
        # Otherwise the thread would refer to itself, and be freed late.
        del thread.run
        for variable, parent in parents:
            variable.set(parent)
        run()

    thread.run = run_bound


def _bound(task: Callable[..., Any], parents: Parents) -> Callable[..., Any]:
    @functools.wraps(task)
    def bound(*args: Any, **kwargs: Any) -> Any:
        tokens = [(variable, variable.set(parent)) for variable, parent in parents]
        try:
            return task(*args, **kwargs)
        finally:
            for variable, token in tokens:
                variable.reset(token)

    return bound
