"""The IPython kernel without the weaknesses that a supervised kernel must not have."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from IPython.core import page
from IPython.core.error import StdinNotImplementedError
from traitlets import Type

from cellhouse_kernel.dispatch import LinkKernel
from cellhouse_kernel.errors import name_of, text_of
from cellhouse_kernel.forked_child import watch_forks
from cellhouse_kernel.past_cells import past_cells
from cellhouse_kernel.raw_output import RAW_OUTPUT
from cellhouse_kernel.shell import Shell

# An error output holds the whole error. The reply only names the error, and must never be too large to be accepted.
MAX_EVALUE_CHARACTERS = 65_536
MAX_TRACEBACK_CHARACTERS = 262_144
# Ours comes before IPython's own hook for `obj?`, which puts the text into the reply.
PAGER_PRIORITY = 90


class Kernel(LinkKernel):
    """A kernel that survives what user code does to its process."""

    shell_class = Type(Shell)  # type: ignore[arg-type]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # This callback cleans up what parents.py does not use. An interrupt that hits it would be lost: Python ignores
        # what a callback of the garbage collector raises.
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
        # Not now: `idle` is sent first, because somebody waits for it.
        asyncio.get_running_loop().call_soon(RAW_OUTPUT.renew)

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a cell."""
        shell: Any = self.shell
        shell.last_error = None
        try:
            reply = await super().do_execute(*args, **kwargs)
        except Exception as error:
            # Either the exception raised when ipykernel asked for its text again, or the code could not be started.
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
        """See parents.py."""

    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> Any:
        return self.interrupts.awaiting(future)

    def raw_input(self, prompt: Any = "") -> str:
        """`input()`."""
        return self._ask("input", str(prompt), False)

    def getpass(self, prompt: str = "Password: ", stream: Any = None) -> str:
        """`getpass.getpass()`."""
        return self._ask("getpass", str(prompt), True)

    def _ask(self, name: str, prompt: str, is_password: bool) -> str:
        if not self.asking.is_possible:
            raise StdinNotImplementedError(f"{name}() was called, and nobody can answer here")
        # What was printed comes before the question.
        self._stdout.flush()
        return self.asking.ask(prompt, is_password)


def bounded(reply: dict[str, Any]) -> dict[str, Any]:
    """Cut what an exception may have made too long."""
    if "evalue" in reply:
        reply["evalue"] = reply["evalue"][:MAX_EVALUE_CHARACTERS]
    if sum(map(len, reply.get("traceback", []))) > MAX_TRACEBACK_CHARACTERS:
        reply["traceback"] = []
    return reply
