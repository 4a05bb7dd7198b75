"""Stands in for the sockets of ipykernel: the kernel's end of the link to the agent.

ipykernel hands messages to `Session.send` with a socket, and text to a stream with a thread that sends it. Here both
go to the outbox, which sends from the calling thread: no message waits for another thread to get its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipykernel.iostream import IOPubThread
from jupyter_client.session import Session

from cellhouse_kernel.outbox import Outbox, pack_message
from cellhouse_kernel.packing import pack


# These come last in a cell. They are sent together with the reply and the `idle` that follow.
LAST_TYPES = frozenset({"execute_result", "error"})


class Channel:
    """In place of a ZeroMQ socket: `shell` for replies, `iopub` for all else."""

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
        """Call it now: nothing needs a certain thread."""
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
