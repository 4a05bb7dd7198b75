"""Turns a process that was just forked into a command: in a session of its own, as the user, without any privilege."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from cellhouse_commands.order import NOT_BEGUN, PACKET, read_order, write_order
from cellhouse_kernel.capabilities import PR_SET_DUMPABLE, prctl
from cellhouse_kernel.identity import KERNEL_UID
from cellhouse_kernel.no_watching import forbid_watching
from cellhouse_kernel.privileges import forbid_new_privileges, give_up_own_privileges
from cellhouse_kernel.yielding import yield_to_agent

# The socket to the agent. Once an order has come, this is the order, until the program is executed.
ORDERS = ORDER = 3
# The descriptors that come with an order.
GIVEN = 4
# Signals that Python or the spawner ignores. A program that is executed would ignore them, too.
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


class _Failed(Exception):
    """The program cannot be executed."""


def become_command(orders: int) -> NoReturn:
    """Wait at this socket for an order and execute its program, or write into the order why that failed.

    The process ends in any case.

    An order comes in a packet with four descriptors: the order, and those for standard input, output and error.
    """
    # Interrupts go to its process group. Until it has one, they go to the process.
    os.setsid()
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    try:
        _keep_only(orders)
        _prepare()
        _take_order()
        # A SIGINT that has come since the fork ends the process now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
        with _step("prepare"):
            give_up_own_privileges(KERNEL_UID)
        content = read_order(ORDER)
        if terminal := content.get("terminal"):
            with _step("terminal"):
                _take_terminal(**terminal)
        _execute(content)
    except _Failed:
        os._exit(NOT_BEGUN)
    finally:
        os._exit(1)


def _keep_only(orders: int) -> None:
    """Keep only this socket, as ORDERS. Standard input is the spawner's own socket, so it is replaced, too."""
    os.dup2(orders, ORDERS)
    os.dup2(1, 0)
    os.closerange(ORDERS + 1, os.sysconf("SC_OPEN_MAX"))


def _prepare() -> None:
    """Do what can be done before there is an order. User code cannot touch a process of the agent's user."""
    yield_to_agent()
    prctl(PR_SET_DUMPABLE, 0)
    forbid_new_privileges()
    forbid_watching()


def _take_order() -> None:
    """Make its descriptors the standard ones and ORDER, and close all others. Without an order, the process ends."""
    with socket.socket(fileno=ORDERS) as orders:
        try:
            packet, descriptors, *_ = socket.recv_fds(orders, len(PACKET), GIVEN)
            if not packet or len(descriptors) != GIVEN:
                os._exit(NOT_BEGUN)
            orders.send(PACKET)
        except ConnectionError:
            # Nobody waits for this process any more.
            os._exit(NOT_BEGUN)
    order, *standard = descriptors
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    os.dup2(order, ORDER, inheritable=False)
    os.closerange(ORDER + 1, os.sysconf("SC_OPEN_MAX"))


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
    """The bytes that the user's code means by this text, even if it is not Unicode."""
    return text.encode("utf-8", "surrogatepass")
