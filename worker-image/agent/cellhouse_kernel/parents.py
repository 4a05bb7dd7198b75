"""Decides which request a thread prints for: the one whose code started the thread, however long it lives."""

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


def follow_starters(variables: list[ContextVar[Header]]) -> None:
    """Let each thread print for the request that starts it, and a thread of a pool for the one that submits its task.

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


Parents = list[tuple[ContextVar[Header], Header]]


def _current(variables: list[ContextVar[Header]]) -> Parents:
    return [(variable, parent) for variable in variables if (parent := variable.get(None))]


def _bind_run(thread: Any, parents: Parents) -> None:
    run = thread.run

    def run_bound() -> None:
        # Otherwise the thread would refer to itself, and never be collected.
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
