"""The kernel: takes requests from the link and handles them, one at a time.

Three classes build on ipykernel's kernel, each on the one before. A CellKernel runs cells and makes their replies as
ipykernel does, but with fewer calls of the shell. A LinkKernel has the agent as its only client, and one ordered path
for requests, replies and outputs. So it needs none of what ipykernel does for each request: switch to the control
thread and back, sleep before the reply, and hand each message to another thread. A Kernel survives what user code does
to its process.

Checked against IPython 8.35.0, ipykernel 6.29.5.
"""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import gc
import inspect
import socket
from fnmatch import fnmatchcase
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from IPython.core import page
from IPython.core.async_helpers import _asyncio_runner
from IPython.core.error import StdinNotImplementedError
from tornado.ioloop import IOLoop
from traitlets import Instance, Type

from cellhouse_kernel.e2b import show_more
from cellhouse_kernel.errors import name_of, text_of
from cellhouse_kernel.forked_child import watch_forks
from cellhouse_kernel.inbox import ANSWER_TYPE, Inbox, InputRequests, Message
from cellhouse_kernel.interrupts import Interrupts
from cellhouse_kernel.link import Channel
from cellhouse_kernel.outbox import pack, pack_message
from cellhouse_kernel.raw_output import RAW_OUTPUT
from cellhouse_kernel.shell import Shell, packed_results
from cellhouse_kernel.surroundings import (
    CellNotStarted,
    Surroundings,
    enter_directory,
    set_variables,
)

# The values of user expressions have a message of their own. In the reply, they could make it too large to be accepted.
EXPRESSIONS_TYPE = "user_expressions"
# The largest number of a cell that is reported, as in the agent.
MAX_COUNT = 2**53 - 1

# Taken before any user code runs, which may replace them.
_count_threads, _all_tasks = _thread._count, asyncio.all_tasks
BUSY = b'{"execution_state":"busy","execution_count":%s}'
IDLE = b'{"execution_state":"idle","end_key":"%s","has_other_code":%s,"leaves_code":%s}'
# An error output holds the whole error. The reply only names the error, and must never be too large to be accepted.
MAX_EVALUE_CHARACTERS = 65_536
MAX_TRACEBACK_CHARACTERS = 262_144
# The kernel's hook for `obj?` must come before IPython's own (priority 99), which puts the text into the reply.
PAGER_PRIORITY = 90
# If there are more, the newest are returned.
MAX_PAST_CELLS = 1_000

PastCell = tuple[int, int, Any]


class CellKernel(IPythonKernel):
    """An IPythonKernel with a fast path for cells that do not await."""

    # Plain attributes instead of traits: nobody observes these, and they are set for every cell.
    _allow_stdin: Any = False
    _sys_raw_input: Any = None

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """Run a cell; returns its reply. Raises the exceptions that ipykernel raises."""
        if self._awaits(code):
            return dict(
                await super().do_execute(
                    code, silent, store_history, user_expressions, allow_stdin, **options
                )
            )
        shell: Any = self.shell
        self._forward_input(allow_stdin)
        try:
            result = shell.run_cell(code, store_history=store_history, silent=silent)
        finally:
            self._restore_input()
        return self._reply_to(result, user_expressions)

    def _awaits(self, code: str) -> bool:
        shell: Any = self.shell
        try:
            transformed = shell.transform_cell(code)
        except Exception:
            # The error is shown when the cell is run.
            return False
        return shell.loop_runner is _asyncio_runner and shell.should_run_async(
            code, transformed_cell=transformed, preprocessing_exc_tuple=None
        )

    def _reply_to(self, result: Any, user_expressions: dict[str, str] | None) -> dict[str, Any]:
        shell: Any = self.shell
        reply: dict[str, Any] = {"status": "ok", "execution_count": shell.execution_count - 1}
        if result.success:
            reply["user_expressions"] = shell.user_expressions(user_expressions or {})
        else:
            early, late = result.error_before_exec, result.error_in_exec
            error = late if early is None else early
            reply |= {
                "status": "error",
                "traceback": shell._last_traceback or [],
                "ename": type(error).__name__,
                "evalue": str(error),
                "user_expressions": {},
            }
        payload = shell.payload_manager.read_payload()
        if payload:
            shell.payload_manager.clear_payload()
        return reply | {"payload": payload}


class LinkKernel(CellKernel):
    """An IPythonKernel whose only client is the agent. Its shell is a QuickShell."""

    link = Instance(socket.socket)
    shell_channel = Instance(Channel)

    def start(self) -> None:
        """Begin to serve. Called once, before the event loop runs."""
        self._inbox = Inbox(self.link)
        self.input_requests = InputRequests(self.link, self._inbox, self.shell_channel.outbox)
        self._own_threads = _count_threads()
        self._had_other_code = False
        # The environment variables and the folder that the request wants for its code.
        self._surroundings: Surroundings | None = None
        self._is_serving = False
        self._serving: asyncio.Task[None] | None = None
        # All requests run in this context, so later cells see the context variables that a cell has set.
        self._context = contextvars.copy_context()
        self.io_loop = IOLoop.current()
        # ipykernel expects this queue; it stays empty.
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
            self.input_requests.begin(parent["msg_id"])
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
            self.input_requests.end()
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


class Kernel(LinkKernel):
    """A kernel that survives what user code does to its process."""

    shell_class = Type(Shell)  # type: ignore[arg-type]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # This callback cleans up objects that link.py does not use. An interrupt that hits it would be lost: Python
        # ignores exceptions in callbacks of the garbage collector.
        gc.callbacks.remove(self._clean_thread_parent_frames)
        # Help that was asked for (`len?`) is output like any other.
        shell: Any = self.shell
        shell.set_hook("show_in_pager", page.as_hook(page.display_page), PAGER_PRIORITY)

    def start(self) -> None:
        """Begin to serve."""
        super().start()
        watch_forks(asyncio.get_event_loop())

    def set_parent(self, ident: Any, parent: Any, channel: str = "shell") -> None:
        """A request begins."""
        super().set_parent(ident, parent, channel)
        stdout: Any = self._stdout
        RAW_OUTPUT.begin(stdout.parent_header)

    def finish_output(self) -> None:
        """See LinkKernel."""
        RAW_OUTPUT.end()
        shell: Any = self.shell
        shell.restore_streams()
        # The kernel's own stream: the code may have replaced sys.stdout.
        self._stdout.flush()
        # The pipes are renewed only after `idle` is sent, because a caller waits for `idle`.
        asyncio.get_running_loop().call_soon(RAW_OUTPUT.renew)

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a cell."""
        shell: Any = self.shell
        shell.last_error = None
        try:
            reply = await super().do_execute(*args, **kwargs)
        except Exception as error:
            # Either the `__str__` of the code's exception raised in ipykernel, or the code could not be started.
            told = shell.last_error or {"ename": name_of(type(error)), "evalue": text_of(error)}
            reply = {
                "status": "error",
                "execution_count": shell.execution_count - 1,
                "payload": [],
                "user_expressions": {},
                "traceback": [],
                **told,
            }
        return bounded(reply)

    def do_history(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The cells that this kernel has run."""
        shell: Any = self.shell
        return {"status": "ok", "history": past_cells(shell.history_manager, *args, **kwargs)}

    def _initialize_thread_hooks(self) -> None:
        """Nothing to do: `follow_starters` (link.py) follows threads instead."""

    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> Any:
        return self.interrupts.awaiting(future)

    def raw_input(self, prompt: Any = "") -> str:
        """`input()`."""
        return self._ask("input", str(prompt), False)

    def getpass(self, prompt: str = "Password: ", stream: Any = None) -> str:
        """`getpass.getpass()`."""
        return self._ask("getpass", str(prompt), True)

    def _ask(self, name: str, prompt: str, is_password: bool) -> str:
        if not self.input_requests.is_possible:
            raise StdinNotImplementedError(f"{name}() was called, and nobody can answer here")
        # Text that was printed before comes before the question.
        self._stdout.flush()
        return self.input_requests.ask(prompt, is_password)


def bounded(reply: dict[str, Any]) -> dict[str, Any]:
    """Cut the parts that an exception may have made too long."""
    if "evalue" in reply:
        reply["evalue"] = reply["evalue"][:MAX_EVALUE_CHARACTERS]
    if sum(map(len, reply.get("traceback", []))) > MAX_TRACEBACK_CHARACTERS:
        reply["traceback"] = []
    return reply


def past_cells(
    history: Any,
    hist_access_type: str,
    output: bool,
    raw: bool,
    start: int = 1,
    stop: int | None = None,
    n: int | None = None,
    pattern: str = "*",
    unique: bool = False,
    session: int = 0,
) -> list[PastCell]:
    """The cells that a `history_request` asks for, the oldest first. `history` is IPython's HistoryManager.

    The history is not stored anywhere, so it has only the cells of this kernel.

    `session` is 0 for this kernel's session. No other session is known.
    """
    if session != 0:
        return []
    if hist_access_type == "range":
        cells = list(history._get_range_session(start, stop, raw, output))
    else:
        cells = list(history._get_range_session(1, None, raw, output))
    if hist_access_type == "search":
        cells = [cell for cell in cells if fnmatchcase(_source(cell, output), pattern)]
    if hist_access_type == "search" and unique:
        newest = {_source(cell, output): cell for cell in cells}
        cells = sorted(newest.values(), key=lambda cell: cell[1])
    count = min(
        MAX_PAST_CELLS, len(cells) if n is None or hist_access_type == "range" else max(0, n)
    )
    return cells[len(cells) - min(count, len(cells)) :]


def _source(cell: PastCell, output: bool) -> str:
    return str(cell[2][0] if output else cell[2])
