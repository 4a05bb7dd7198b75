"""For which request a thread prints: the one whose code started it, however long it lives."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

Header = dict[str, Any]

_known = threading.local()


def unknown_thread_parent(current: Header) -> Header:
    """For a thread that was not made with `threading`: the request that ran when it first printed."""
    if not hasattr(_known, "parent"):
        _known.parent = current
    parent: Header = _known.parent
    return parent


def follow_submitters(variables: list[ContextVar[Header]]) -> None:
    """Let a thread of a pool print for whoever submitted its task, and not for whoever made the pool."""
    submit: Any = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submit_for_caller(
        pool: ThreadPoolExecutor, task: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        parents = [(variable, parent) for variable in variables if (parent := variable.get(None))]

        def run() -> Any:
            tokens = [(variable, variable.set(parent)) for variable, parent in parents]
            try:
                return task(*args, **kwargs)
            finally:
                for variable, token in tokens:
                    variable.reset(token)

        return submit(pool, run)

    ThreadPoolExecutor.submit = submit_for_caller  # type: ignore[assignment,method-assign]
