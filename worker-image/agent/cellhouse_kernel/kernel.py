"""The IPython kernel with the frailties taken out that a supervised kernel must not have."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core import page

from cellhouse_kernel.dispatch import LinkKernel

# The whole error is an output of its own; a reply only names it, and must never be too large to pass.
MAX_EVALUE_CHARACTERS = 65_536
MAX_TRACEBACK_CHARACTERS = 262_144
# Before IPython's own hook for `obj?`, which puts the text into the reply.
PAGER_PRIORITY = 90


class Kernel(LinkKernel):
    """A kernel that outlives user code that takes its streams away."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Help that was asked for (`len?`) is output like any other.
        shell: Any = self.shell
        shell.set_hook("show_in_pager", page.as_hook(page.display_page), PAGER_PRIORITY)

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a cell, then see that there are streams to flush: `sys.stdout = None` must not lose the reply."""
        try:
            return bounded(await super().do_execute(*args, **kwargs))
        finally:
            if not callable(getattr(sys.stdout, "flush", None)):
                sys.stdout = self._stdout
            if not callable(getattr(sys.stderr, "flush", None)):
                sys.stderr = self._stderr


def bounded(reply: dict[str, Any]) -> dict[str, Any]:
    """Cut what an exception may have made too long."""
    if "evalue" in reply:
        reply["evalue"] = reply["evalue"][:MAX_EVALUE_CHARACTERS]
    if sum(map(len, reply.get("traceback", []))) > MAX_TRACEBACK_CHARACTERS:
        reply["traceback"] = []
    return reply
