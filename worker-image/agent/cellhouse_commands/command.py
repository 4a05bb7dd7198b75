"""How a process becomes a command: it waits for an order, becomes the user, and executes the program of the order.

An order is a file in memory, shared by the agent and the command's process. The agent writes it, as a JSON object:
{"argv": [...], "environment": {...}, "directory": "/home/user", "terminal": {"columns": 80, "rows": 24} or null}. The
command's process reads it, and puts one of these in its place before it executes the program:

    {"begun": {"cpu_ms": 1.5, "max_rss_bytes": 9000000}}   it executes the program now; what it has used itself so far
    {"failed": {"step": "enter", "errno": 2}}              it could not, and ends with NOT_BEGUN

The process closes the file when it executes the program, and no other process of the user can open it.

If the order has a terminal, the process opens it, as the user, and hands it to the agent. It executes the program only
when the agent has taken the terminal. If the agent cannot take it, the terminal hangs up, and SIGHUP would end a
program that had begun already.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from cellhouse_kernel.privileges import (
    KERNEL_UID,
    PR_SET_DUMPABLE,
    forbid_inotify,
    forbid_new_privileges,
    give_up_own_privileges,
    prctl,
    yield_to_agent,
)

# The exit code of a process that could not execute the program. A program may also end with this code. So only `failed`
# in the order proves that no program was executed.
NOT_BEGUN = 127
READ_BYTES = 1_048_576
# The packet that brings an order's descriptors, and the answer of the process that has taken them. Like
# TERMINAL_PACKET, it is not empty, since an empty packet means the end of the connection.
ORDER_PACKET = b"order"
# The descriptor of the socket to the agent. Once an order has come, its file takes this number.
ORDERS = ORDER = 3
# The descriptors that come with an order.
GIVEN = 4
# Signals that Python or the spawner ignores. A program that is executed would ignore them, too.
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)
# From <asm-generic/ioctls.h>. The module `termios` has it, but would be imported for nothing else.
TIOCSWINSZ = 0x5414
# The packet that brings the terminal, and the answer of an agent that has taken it.
TERMINAL_PACKET = b"terminal"

type Content = dict[str, Any]


def make_order(content: Content) -> int:
    """A new file with this order. Raises OSError."""
    order = os.memfd_create("order", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        # Under gVisor, user code may open a file that a process of another user has open, if the file's mode allows it.
        os.fchmod(order, 0)
        write_order(order, content)
    except BaseException:
        os.close(order)
        raise
    return order


def write_order(order: int, content: Content) -> None:
    """Replace the content. Raises OSError."""
    os.ftruncate(order, 0)
    data = memoryview(json.dumps(content).encode())
    written = 0
    while written < len(data):
        written += os.pwrite(order, data[written:], written)


def seal_order(order: int) -> None:
    """Forbid all further writes. A process that has not written `begun` yet then ends without executing the program."""
    fcntl.fcntl(order, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)


def read_order(order: int) -> Content:
    """The content. Raises OSError, and ValueError if it is being replaced."""
    data = b""
    while piece := os.pread(order, READ_BYTES, len(data)):
        data += piece
    content: Content = json.loads(data)
    return content


class _Failed(Exception):
    """The program cannot be executed."""


def become_command(orders: int) -> NoReturn:
    """Wait at this socket for an order and execute its program, or write into the order why that failed.

    The process ends in any case.

    An order comes in a packet with four descriptors: the order, and those for standard input, output and error.
    """
    # The agent interrupts the process group of a command. Until this call, it interrupts the process alone.
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
                _open_terminal(**terminal)
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
    forbid_inotify()


def _take_order() -> None:
    """Wait for an order. Its file becomes ORDER, its other descriptors become standard input, output and error.

    All other descriptors are closed. Without an order, the process ends.
    """
    with socket.socket(fileno=ORDERS) as orders:
        try:
            packet, descriptors, *_ = socket.recv_fds(orders, len(ORDER_PACKET), GIVEN)
            if not packet or len(descriptors) != GIVEN:
                os._exit(NOT_BEGUN)
            orders.send(ORDER_PACKET)
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
        # `execve` closes the order, and makes the process dumpable.
        os.execve(_bytes(argv[0]), [_bytes(word) for word in argv], variables)


def _own_use() -> dict[str, float]:
    """The CPU time and memory that this process has used already. The system will count them as the program's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_ms": 1000 * (used.ru_utime + used.ru_stime),
        "max_rss_bytes": 1024 * used.ru_maxrss,
    }


@contextmanager
def _step(name: str) -> Iterator[None]:
    """If this step fails, say so in the order, and raise _Failed."""
    try:
        yield
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else errno.EINVAL
        write_order(ORDER, {"failed": {"step": name, "errno": number}})
        raise _Failed from error


def _bytes(text: str) -> bytes:
    """The text as UTF-8. A lone surrogate is encoded like any other code point."""
    return text.encode("utf-8", "surrogatepass")


def _open_terminal(columns: int, rows: int) -> None:
    """Make a terminal that controls this session. Both its ends go over standard input, which is a socket.

    The three standard descriptors are the terminal then. Raises OSError, also if the agent does not take it.
    """
    master, slave = os.openpty()
    set_size(slave, columns, rows)
    with socket.socket(fileno=0) as agent:
        # The agent gets both ends. While it has the slave end open, its reads do not fail when no other process has the
        # terminal open.
        socket.send_fds(agent, [TERMINAL_PACKET], [master, slave])
        os.close(master)
        if not agent.recv(len(TERMINAL_PACKET)):
            # The agent has no descriptors left.
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    os.login_tty(slave)


def set_size(terminal: int, columns: int, rows: int) -> None:
    """Set the terminal's size; if it changes, the group in the foreground gets SIGWINCH. Raises OSError."""
    fcntl.ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
