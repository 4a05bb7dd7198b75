"""Turns a process that was just forked into a command: in a session of its own, as the user, without any privilege."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from cellhouse_commands.order import NOT_BEGUN, read_order, write_order
from cellhouse_kernel.identity import KERNEL_UID
from cellhouse_kernel.no_watching import forbid_watching
from cellhouse_kernel.privileges import give_up_privileges
from cellhouse_kernel.yielding import yield_to_agent

# The order, until the program is executed.
ORDER = 3
# What Python or the spawner ignores; a program that is executed would ignore it, too.
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


class _Failed(Exception):
    """The program cannot be executed."""


def become_command(order: int, stdin: int, stdout: int, stderr: int) -> NoReturn:
    """Execute what the order says, or say in the order why not. The process ends in any case."""
    # Interrupts go to its process group. Until it has one, they go to the process.
    os.setsid()
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # One that has come since the fork ends the process now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    _take_descriptors(order, stdin, stdout, stderr)
    try:
        with _step("prepare"):
            yield_to_agent()
            give_up_privileges(KERNEL_UID)
            forbid_watching()
        content = read_order(ORDER)
        if terminal := content.get("terminal"):
            with _step("terminal"):
                _take_terminal(**terminal)
        _execute(content)
    except _Failed:
        os._exit(NOT_BEGUN)
    finally:
        os._exit(1)


def _execute(content: dict[str, object]) -> None:
    argv, environment, directory = content["argv"], content["environment"], content["directory"]
    assert isinstance(argv, list) and isinstance(environment, dict) and isinstance(directory, str)
    with _step("enter"):
        os.chdir(_bytes(directory))
    with _step("execute"):
        write_order(ORDER, {"begun": _own_use()})
        variables = {_bytes(name): _bytes(value) for name, value in environment.items()}
        # Executing it closes the order, and makes the process dumpable.
        os.execve(_bytes(argv[0]), [_bytes(word) for word in argv], variables)


def _take_terminal(columns: int, rows: int) -> None:
    from cellhouse_commands.terminal import open_terminal

    open_terminal(columns, rows)


def _own_use() -> dict[str, float]:
    """What this process has used already, which the system will count as the program's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_ms": 1000 * (used.ru_utime + used.ru_stime),
        "max_rss_bytes": 1024 * used.ru_maxrss,
    }


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Say in the order what could not be done, and raise _Failed."""
    try:
        yield
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else errno.EINVAL
        write_order(ORDER, {"failed": {"step": name, "errno": number}})
        raise _Failed from error


def _bytes(text: str) -> bytes:
    """As the user's code has it, also if it is not Unicode."""
    return text.encode("utf-8", "surrogatepass")


def _take_descriptors(order: int, stdin: int, stdout: int, stderr: int) -> None:
    """Make these the standard descriptors and ORDER, and close all others."""
    for descriptor, number in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(descriptor, number)
    if order != ORDER:
        os.dup2(order, ORDER)
    os.set_inheritable(ORDER, False)
    os.closerange(ORDER + 1, os.sysconf("SC_OPEN_MAX"))
