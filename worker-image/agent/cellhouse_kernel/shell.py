"""IPython's shell, which shows results and errors correctly whatever user code has done to the process."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.zmqshell import ZMQDisplayPublisher
from IPython.core.magic import Magics, line_magic, magics_class
from traitlets import Type

from cellhouse_kernel.errors import (
    DROPPED_BYTES_KEY,
    chain_of,
    error_content,
    inner_frames,
    name_of,
    short_chain,
    text_of,
)
from cellhouse_kernel.forked_child import is_forked_child, leave_forked_child
from cellhouse_kernel.outbox import pack
from cellhouse_kernel.packages import PYTHON, USERS_PACKAGES
from cellhouse_kernel.quick_shell import QuickShell

PIP_COMMAND = f"{PYTHON} -P -m cellhouse_pip"

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class DisplayPublisher(ZMQDisplayPublisher):
    """`display` and `clear_output`. A display belongs to the execution that asked for it."""

    @property  # type: ignore[override]
    def parent_header(self) -> dict[str, Any]:
        """The header of the request that the calling thread or task works for: the same as for prints."""
        shell: Any = self.shell
        return dict(shell.kernel._stdout.parent_header)

    @parent_header.setter
    def parent_header(self, header: dict[str, Any]) -> None:
        """Nothing to do: the streams get the header too."""


class DisplayHook(ZMQShellDisplayHook):
    """The value of a cell's last line. If its representation fails, the failure is shown as an error."""

    # Plain attributes instead of traits: nobody observes these, and they are set for every cell.
    parent_header: Any = {}
    exec_result: Any = None

    def quiet(self) -> bool:
        """Whether the cell ends in `;`. IPython looks at each token, so it is asked only if there is a `;`."""
        shell: Any = self.shell
        inputs = shell.history_manager.input_hist_parsed
        return bool(inputs and ";" in inputs[-1] and super().quiet())

    def cull_cache(self) -> None:
        """Drop the oldest result. IPython drops the oldest fifth, warns on stderr, and still keeps all in memory."""
        shell: Any = self.shell
        results = shell.user_ns["_oh"]
        while len(results) >= self.cache_size:
            number = next(iter(results))
            result, name = results.pop(number), f"_{number}"
            for names in (shell.user_ns, shell.user_ns_hidden):
                # The user may have given the name to something else.
                if names.get(name) is result:
                    del names[name]

    def log_output(self, format_dict: Any) -> None:
        """Keep the result's text for `%history -o`, and drop the texts of results that are no longer kept."""
        super().log_output(format_dict)
        shell: Any = self.shell
        texts = shell.history_manager.output_hist_reprs
        while len(texts) > self.cache_size:
            del texts[next(iter(texts))]

    def start_displayhook(self) -> None:
        """Begin a message with only the fields that go over the link. It stays empty if the value displays itself."""
        self.msg = {
            "header": {"msg_type": "execute_result"},
            "parent_header": self.parent_header,
            "metadata": {},
            "content": {"data": {}, "metadata": {}},
        }

    def compute_format_data(self, result: Any) -> Any:
        """A value's representations. Raises the error of its `__repr__`: without a text there is nothing to show."""
        shell: Any = self.shell
        with shell.collected_errors() as errors:
            data, metadata = super().compute_format_data(result)
        if errors and "text/plain" not in data:
            raise errors[-1]
        for error in errors:
            shell.showtraceback((type(error), error, error.__traceback__))
        return data, metadata


@magics_class
class PipMagic(Magics):
    """`%pip`, with the image's pip (cellhouse_pip). Packages that it installs can be imported at once.

    It replaces IPython's `%pip`, which advises to restart the kernel after every command.
    """

    @line_magic  # type: ignore[misc]
    def pip(self, line: str) -> None:
        """Run pip: `%pip install NAME`."""
        before = _installed()
        shell: Any = self.shell
        shell.system(f"{PIP_COMMAND} {line}")
        if before - _installed():
            print("Note: you may need to restart the kernel to use updated packages.")


def _installed() -> set[str]:
    """The names of the `.dist-info` folders of the user's packages. Each names a package and its version."""
    try:
        return {name for name in os.listdir(USERS_PACKAGES) if name.endswith(".dist-info")}
    except OSError:
        # There is no such folder yet.
        return set()


class Shell(QuickShell):
    """A shell that can show every error, and whose forked children end when their code ends."""

    displayhook_class = Type(DisplayHook)
    display_pub_class = Type(DisplayPublisher)
    # Plain attributes instead of traits: nobody observes these, and they are set for every cell.
    parent_header: Any = None
    last_execution_succeeded: Any = True
    last_execution_result: Any = None

    # What was reported about the last error of the running cell.
    last_error: dict[str, Any] | None = None
    # How many frames the traceback that is being shown leaves out.
    _left_out_frames = 0
    # Collects errors that must not be shown yet.
    _collected: list[BaseException] | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # IPython advises users of sys.exit() to use quit(), which costs the session its variables.
        where = "IPython.core.interactiveshell"
        warnings.filterwarnings("ignore", message="To exit: use", module=where)
        # An interrupt may come before `run_cell_async` has started. The user need not be warned.
        never_awaited = r"coroutine '\w*Shell\.run_cell_async' was never awaited"
        warnings.filterwarnings("ignore", message=never_awaited, category=RuntimeWarning)

    def init_magics(self) -> None:
        """Register the image's `%pip`, too."""
        super().init_magics()
        self.register_magics(PipMagic)

    def restore_streams(self) -> None:
        """Make sure that stdout and stderr can be flushed: user code may have put anything in their place."""
        for name, stream in self._own_streams():
            try:
                getattr(sys, name).flush()
            except BaseException:
                setattr(sys, name, stream)

    async def run_cell_async(self, *args: Any, **kwargs: Any) -> Any:
        """Run a cell. A child that the cell forked, and that returns from the cell, ends here."""
        result = await super().run_cell_async(*args, **kwargs)
        if is_forked_child():
            self.restore_streams()
            leave_forked_child(result.error_before_exec, result.error_in_exec)
        return result

    async def run_code(self, code_obj: Any, result: Any = None, **kwargs: Any) -> bool:
        """Run a part of a cell; returns whether it raised."""
        kernel: Any = self.kernel
        if kernel.interrupts.begin_code():
            return bool(await super().run_code(code_obj, result, **kwargs))
        error = KeyboardInterrupt("Interrupted before the code began")
        if result is not None:
            result.error_in_exec = error
        self._showtraceback(KeyboardInterrupt, error, [f"KeyboardInterrupt: {error}"])
        return True

    def tell_not_started(self, error: Exception) -> dict[str, Any]:
        """Show why the code has not run; returns the reply."""
        self._showtraceback(type(error), error, [f"{name_of(type(error))}: {error}"])
        return {"status": "error", "execution_count": None, **(self.last_error or {})}

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show an exception, the one being handled if none is given."""
        self.restore_streams()
        try:
            kind, value, trace = self._get_exc_info(exc_tuple)
        except ValueError:
            # There is no exception, and IPython's own method says so.
            super().showtraceback(exc_tuple, *args, **kwargs)
            return
        if is_forked_child():
            if not isinstance(value, SystemExit):
                traceback.print_exception(value)
            return
        if self._collected is not None:
            self._collected.append(value)
            return
        own_kernel: Any = self.kernel
        with own_kernel.interrupts.showing(), short_chain(value) as self._left_out_frames:
            short = (kind, value, value.__traceback__ if self._left_out_frames else trace)
            if any(isinstance(link, BaseExceptionGroup) for link in chain_of(value)):
                self._show_group(*short)
            else:
                self._show_one(short, args, kwargs)
        self._left_out_frames = 0

    def _show_one(self, error: ExceptionInfo, args: Any, kwargs: Any) -> None:
        kind, value, trace = error
        shown = trace
        if not args:
            # IPython would format its own frames before it leaves them out, and parse its own 4,000 lines for that.
            offset = kwargs.get("tb_offset")
            shown = inner_frames(trace, self.InteractiveTB.tb_offset if offset is None else offset)
            kwargs = {**kwargs, "tb_offset": 0}
        try:
            super().showtraceback((kind, value, shown), *args, **kwargs)
        except Exception:
            # IPython could not format it.
            self._showtraceback(kind, value, [f"{name_of(kind)}: {text_of(value)}\n"])
        # For `%tb` and `%debug`.
        sys.last_traceback = trace

    def _show_group(self, kind: Any, value: BaseException, trace: TracebackType | None) -> None:
        """Show an exception group. IPython does not support these: it prints them on stderr."""
        # The outermost frame is IPython's own.
        inner = trace.tb_next if trace and trace.tb_next else trace
        self._showtraceback(kind, value, traceback.format_exception(kind, value, inner))

    @contextmanager
    def collected_errors(self) -> Iterator[list[BaseException]]:
        """Within this context, errors are collected and not shown."""
        errors: list[BaseException] = []
        self._collected = errors
        try:
            yield errors
        finally:
            self._collected = None

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        """Send a formatted exception."""
        self.restore_streams()
        if left_out := self._left_out_frames:
            stb = [*stb[:1], f"[{left_out} frames are left out]\n", *stb[1:]]
        content = error_content(etype, evalue, stb)
        hook: Any = self.displayhook
        topic = hook.topic.replace(b"execute_result", b"error") if hook.topic else None
        hook.session.send(hook.pub_socket, "error", content, hook.parent_header, ident=topic)
        self._last_traceback = content["traceback"]
        self.last_error = {name: content[name] for name in content if name != DROPPED_BYTES_KEY}

    def set_parent(self, parent: dict[str, Any]) -> None:
        """Set the request that output belongs to, also for streams that user code has replaced for a while."""
        super().set_parent(parent)
        for name, stream in self._own_streams():
            if getattr(sys, name, None) is not stream:
                stream.set_parent(parent)

    def _own_streams(self) -> tuple[tuple[str, Any], ...]:
        kernel: Any = self.kernel
        return ("stdout", kernel._stdout), ("stderr", kernel._stderr)


def packed_results(
    shell: Any, expressions: Mapping[str, str], may_begin: Callable[[], bool]
) -> bytes:
    """The values of a request's `user_expressions`, by their names, as JSON. If one raises, its error is its value.

    `may_begin` returns False if an interrupt has come already. After an interrupt, no further expression is evaluated.
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
