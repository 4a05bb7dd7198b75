"""Takes requests from the link and handles them, one at a time, with as little in between as possible.

For each request, ipykernel switches to its control thread and back, sleeps before it replies, and hands each message
to another thread. Here requests, replies and outputs share one ordered path, so none of that is needed.
"""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import inspect
import socket
from typing import Any

from tornado.ioloop import IOLoop
from traitlets import Instance

from cellhouse_kernel.asking import Asking
from cellhouse_kernel.e2b import show_more
from cellhouse_kernel.expressions import packed_results
from cellhouse_kernel.inbox import ANSWER_TYPE, Inbox, Message
from cellhouse_kernel.interrupts import Interrupts
from cellhouse_kernel.link import Channel
from cellhouse_kernel.outbox import pack_message
from cellhouse_kernel.packing import pack
from cellhouse_kernel.run_cells import CellKernel
from cellhouse_kernel.surroundings import (
    CellNotStarted,
    Surroundings,
    enter_directory,
    set_variables,
)

# Sent in a message of its own, so that the reply does not become too large to be accepted.
EXPRESSIONS_TYPE = "user_expressions"
# The largest number of a cell that is reported, as in the agent.
MAX_COUNT = 2**53 - 1

# Taken before any user code runs, which may replace them.
_count_threads, _all_tasks = _thread._count, asyncio.all_tasks
BUSY = b'{"execution_state":"busy","execution_count":%s}'
IDLE = b'{"execution_state":"idle","end_key":"%s","has_other_code":%s,"leaves_code":%s}'


class LinkKernel(CellKernel):
    """An IPythonKernel whose only client is the agent. Its shell is a QuickShell."""

    link = Instance(socket.socket)
    shell_channel = Instance(Channel)

    def start(self) -> None:
        """Begin to serve. Called once, before the event loop runs."""
        self._inbox = Inbox(self.link)
        self.asking = Asking(self.link, self._inbox, self.shell_channel.outbox)
        self._own_threads = _count_threads()
        self._had_other_code = False
        # The environment variables and the folder that the request wants for its code.
        self._surroundings: Surroundings | None = None
        self._is_serving = False
        self._serving: asyncio.Task[None] | None = None
        # Later cells see the context variables that a cell has set.
        self._context = contextvars.copy_context()
        self.io_loop = IOLoop.current()
        # ipykernel expects it; it stays empty.
        self.msg_queue: Any = asyncio.Queue()
        self._loop = asyncio.get_event_loop()
        self.interrupts = Interrupts(self.own_task)
        self._loop.add_reader(self.link, self._receive)
        if self.shell:
            self.shell.exit_now = False
        self._publish_status("starting", "shell")

    def _receive(self) -> None:
        """Take a packet. If it completes a request, the request begins."""
        self._inbox.receive()
        if self._inbox.has_messages and not self._is_serving:
            # The request begins here, not in the loop's next turn.
            self._serving = asyncio.Task(
                self._serve(), loop=self._loop, context=self._context, eager_start=True
            )

    async def _serve(self) -> None:
        """Handle the waiting requests in order."""
        self._is_serving = True
        try:
            while self._inbox.has_messages:
                try:
                    await self.dispatch_shell(self._inbox.take_first())
                except Exception:
                    self.log.exception("a request failed")
        finally:
            self._is_serving = False

    def own_task(self) -> asyncio.Task[Any] | None:
        """The task that runs now, if it is the kernel's."""
        # A signal handler calls this, maybe while no loop runs.
        task = asyncio.current_task(self._loop)
        coroutine: Any = task.get_coro() if task else None
        is_own = getattr(coroutine, "cr_code", None) is LinkKernel._serve.__code__
        return task if is_own else None

    async def dispatch_shell(self, msg: Message) -> None:
        """Handle a request, between its `busy` and its `idle`."""
        if msg["msg_type"] == ANSWER_TYPE:
            # The code that asked no longer waits for this answer.
            return
        if msg["msg_type"] == "variables_request":
            variables = msg["content"]["variables"]
            set_variables(variables)
            show_more(variables, self.shell)
            return
        if msg["msg_type"] == "directory_request":
            enter_directory(msg["content"]["path"])
            return
        self._had_other_code = self._has_other_code()
        # Code can see the request but not the key, so only the kernel can say that the request is over.
        end_key = msg["metadata"].pop("end_key", "")
        wanted = msg["metadata"].pop("surroundings", None)
        self._surroundings = Surroundings(wanted) if wanted else None
        self.set_parent([], msg, channel="shell")
        self._publish_busy(msg)
        handler = self.shell_handlers.get(msg["msg_type"])
        if handler:
            self.interrupts.take_up()
            try:
                result = handler(self.shell_channel, [], msg)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                self.log.exception("a handler failed")
            except KeyboardInterrupt:
                self.log.warning("interrupted outside of a cell")
            finally:
                self.interrupts.end_code()
        if self._surroundings:
            self._surroundings.take_off()
        self.finish_output()
        self._publish_idle(msg["msg_id"], end_key)

    def _has_other_code(self) -> bool:
        """Whether threads or tasks of earlier code still run, apart from this task."""
        return _count_threads() > self._own_threads or len(_all_tasks(self._loop)) > 1

    async def execute_request(self, stream: Any, ident: Any, parent: Message) -> None:
        """Run a cell and reply."""
        content = parent["content"]
        shell: Any = self.shell
        shell.begin_cell(content["code"])
        silent = content.get("silent", False)
        outbox = self.shell_channel.outbox
        # Sent even for a silent cell: it tells the agent that the cell can be interrupted from now on. The content is
        # empty, because nobody reads it.
        outbox.add_message(pack_message(b"iopub", "execute_input", parent["msg_id"], b"{}"))
        if content.get("allow_stdin", False):
            self.asking.begin(parent["msg_id"])
        try:
            if self._surroundings:
                self._surroundings.put_on()
            reply = await self.do_execute(
                content["code"],
                silent,
                content.get("store_history", not silent),
                None,
                content.get("allow_stdin", False),
            )
            if (expressions := content.get("user_expressions")) and reply["status"] == "ok":
                results = packed_results(shell, expressions, self.interrupts.begin_more)
                message = pack_message(b"iopub", EXPRESSIONS_TYPE, parent["msg_id"], results)
                outbox.add_message(message, can_wait=True)
        except CellNotStarted as error:
            reply = shell.tell_not_started(error)
        finally:
            self.interrupts.end_code()
            self.asking.end()
        message = pack_message(b"shell", "execute_reply", parent["msg_id"], pack(reply))
        outbox.add_message(message, can_wait=True)

    def _publish_busy(self, msg: Message) -> None:
        """The first message of a request, with the number of the cell if it gets one.

        It is not sent yet: the input of a cell, or a reply, follows immediately, and is sent together with it.
        """
        is_numbered = msg["msg_type"] == "execute_request" and not msg["content"].get("silent")
        count: Any = getattr(self.shell, "execution_count", None) if is_numbered else None
        is_count = isinstance(count, int) and 0 <= count <= MAX_COUNT
        content = BUSY % (b"%d" % count if is_count else b"null")
        self.shell_channel.outbox.hold(pack_message(b"iopub", "status", msg["msg_id"], content))

    def _publish_idle(self, parent_id: str, end_key: str) -> None:
        """The last message of a request."""
        content = IDLE % (
            end_key.encode(),
            b"true" if self._had_other_code else b"false",
            b"true" if self._has_other_code() else b"false",
        )
        message = pack_message(b"iopub", "status", parent_id, content)
        self.shell_channel.outbox.add_message(message)

    def finish_output(self) -> None:
        """Hook: a subclass sends the rest of the output here. SIGINT cannot hit this: the request's code has ended."""

    def _publish_status(self, status: str, channel: str, parent: Message | None = None) -> None:
        parent_id = (parent or self.get_parent(channel)).get("msg_id", "")
        content = b'{"execution_state":"%s"}' % status.encode()
        message = pack_message(b"iopub", "status", parent_id, content)
        self.shell_channel.outbox.add_message(message)
