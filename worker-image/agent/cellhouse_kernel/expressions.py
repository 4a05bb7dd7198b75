"""Evaluates the expressions of a request after its cell has ended without an error (`user_expressions`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cellhouse_kernel.errors import DROPPED_BYTES_KEY, error_content, name_of, text_of
from cellhouse_kernel.forked_child import is_forked_child, leave_forked_child
from cellhouse_kernel.packing import pack


def packed_results(
    shell: Any, expressions: Mapping[str, str], may_begin: Callable[[], bool]
) -> bytes:
    """The value of each expression, by its name, as JSON. One that raises has its error there.

    `may_begin` is false if an interrupt has come already. An interrupt ends all that follow.
    """
    results: list[bytes] = []
    interrupt = None if may_begin() else KeyboardInterrupt()
    for name, code in expressions.items():
        try:
            if interrupt:
                raise interrupt
            result = pack(_value(shell, code))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                interrupt = error
            result = pack(_failure(error))
        results.append(pack(name) + b":" + result)
    return b"{" + b",".join(results) + b"}"


def _value(shell: Any, code: str) -> dict[str, Any]:
    with shell.collected_errors() as errors:
        value = eval(code, shell.user_global_ns, shell.user_ns)
        if is_forked_child():
            leave_forked_child(None, None)
        data, metadata = shell.display_formatter.format(value)
    if errors:
        raise errors[0]
    return {"status": "ok", "data": data, "metadata": metadata}


def _failure(error: BaseException) -> dict[str, Any]:
    if is_forked_child():
        leave_forked_child(None, error)
    head = f"{name_of(type(error))}: {text_of(error)}"
    content = error_content(type(error), error, [head])
    del content[DROPPED_BYTES_KEY]
    return {"status": "error", **content}
