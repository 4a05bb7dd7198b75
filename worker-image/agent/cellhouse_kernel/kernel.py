"""The IPython kernel with the waits and the frailties taken out that a supervised kernel does not need."""

from __future__ import annotations

import sys
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from traitlets import Float


class Kernel(IPythonKernel):
    """IPythonKernel whose replies do not wait, and which outlives user code that takes its streams away."""

    # ipykernel sleeps before each reply so that output overtakes it. The agent waits for `idle`, which comes after.
    _execute_sleep = Float(0.0)

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a cell, then see that there are streams to flush: `sys.stdout = None` must not lose the reply."""
        try:
            return await super().do_execute(*args, **kwargs)
        finally:
            if not callable(getattr(sys.stdout, "flush", None)):
                sys.stdout = self._stdout
            if not callable(getattr(sys.stderr, "flush", None)):
                sys.stderr = self._stderr
