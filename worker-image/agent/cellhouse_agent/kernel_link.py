"""The ZeroMQ side: requests to one kernel, and its messages."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import zmq
from zmq.utils.monitor import recv_monitor_message

from cellhouse_agent.connection import IOPUB_PORT, SHELL_PORT, Connection
from cellhouse_agent.wire import JsonObject, KernelMessage, MalformedMessage, Signer

# Messages that wait in the agent. At this mark the agent's ZeroMQ stops reading and the kernel keeps the rest (its own
# send mark is lifted): nothing is dropped on either side, and the agent's memory stays bounded.
RECEIVE_MARK_MESSAGES = 256
# Messages handled before other work of the agent gets a turn.
BATCH_MESSAGES = 64
# The kernel's sockets appear some 0.5 s after its start; asking often costs little and finds them at once.
RECONNECT_MS = 5
# An answer whose `idle` did not come with it: the subscription was not yet there, ask again.
PROBE_IDLE_SECONDS = 0.03
# How long the last output of a dead kernel may take to be read. It is in socket buffers: it takes milliseconds.
LAST_OUTPUT_SECONDS = 0.5
LAST_OUTPUT_POLL_SECONDS = 0.002


class KernelLink:
    """A connection to one kernel. `on_message` gets each message that is signed and whole, in order per channel."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        connection: Connection,
        max_message_bytes: int,
        on_message: Callable[[str, KernelMessage], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._signer = Signer(connection.key.encode("ascii"))
        self._max_message_bytes = max_message_bytes
        self._on_message = on_message
        self._session = uuid.uuid4().hex
        self._is_closed = False
        self._is_drain_planned = False
        self._probe_id = ""
        self._probe_answers: dict[str, asyncio.Event] = {}
        self.malformed_messages = 0
        self._shell = context.socket(zmq.DEALER)
        self._iopub = context.socket(zmq.SUB)
        for socket in (self._shell, self._iopub):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._shell.setsockopt(zmq.RCVHWM, RECEIVE_MARK_MESSAGES)
        self._iopub.setsockopt(zmq.RCVHWM, RECEIVE_MARK_MESSAGES)
        self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self._monitor = self._iopub.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._shell.connect(connection.endpoint(SHELL_PORT))
        self._iopub.connect(connection.endpoint(IOPUB_PORT))
        self._channels = (("shell", self._shell), ("iopub", self._iopub))
        for _, socket in self._channels:
            self._loop.add_reader(int(socket.getsockopt(zmq.FD)), self._drain)

    async def probe(self) -> None:
        """Return when the kernel answers requests and its output arrives. It waits for ever; the caller has a limit."""
        while True:
            self._probe_id = uuid.uuid4().hex
            self._probe_answers = {"shell": asyncio.Event(), "iopub": asyncio.Event()}
            self.send(self._probe_id, "kernel_info_request", {})
            await self._probe_answers["shell"].wait()
            try:
                async with asyncio.timeout(PROBE_IDLE_SECONDS):
                    await self._probe_answers["iopub"].wait()
                    return
            except TimeoutError:
                continue

    def send(self, msg_id: str, msg_type: str, content: JsonObject) -> None:
        """Send a request on shell; it waits in ZeroMQ until the kernel is there."""
        header: JsonObject = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "session": self._session,
            "username": "cellhouse",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        self._shell.send_multipart(self._signer.pack(header, content))
        # Sending may use up the wake-up of a message that has just come in.
        self._plan_drain()

    async def drain_rest(self) -> None:
        """Read everything that a kernel which has ended still sent."""
        deadline = self._loop.time() + LAST_OUTPUT_SECONDS
        is_disconnected = False
        while not is_disconnected and self._loop.time() < deadline:
            while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                recv_monitor_message(self._monitor)
                is_disconnected = True
            self._drain()
            await asyncio.sleep(0 if is_disconnected else LAST_OUTPUT_POLL_SECONDS)
        while self._drain():
            await asyncio.sleep(0)

    def close(self) -> None:
        """Close the sockets; no message is handed on afterwards."""
        if self._is_closed:
            return
        self._is_closed = True
        for _, socket in self._channels:
            self._loop.remove_reader(int(socket.getsockopt(zmq.FD)))
        self._iopub.disable_monitor()
        self._monitor.close(0)
        self._shell.close(0)
        self._iopub.close(0)

    def _plan_drain(self) -> None:
        if not self._is_drain_planned:
            self._is_drain_planned = True
            self._loop.call_soon(self._planned_drain)

    def _planned_drain(self) -> None:
        self._is_drain_planned = False
        self._drain()

    def _drain(self) -> bool:
        """Handle a batch of what has arrived; true if there was anything. ZeroMQ's fd tells of changes only once."""
        handled = 0
        for channel, socket in self._channels:
            while not self._is_closed and int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                if handled == BATCH_MESSAGES:
                    self._plan_drain()
                    return True
                handled += 1
                self._handle(channel, socket.recv_multipart(zmq.NOBLOCK))
        return handled > 0

    def _handle(self, channel: str, frames: list[bytes]) -> None:
        try:
            message = self._signer.unpack(frames, self._max_message_bytes)
        except MalformedMessage:
            self.malformed_messages += 1
            return
        if message.parent_msg_id == self._probe_id:
            state = message.content.get("execution_state")
            if channel == "shell" or state == "idle":
                self._probe_answers[channel].set()
            return
        self._on_message(channel, message)
