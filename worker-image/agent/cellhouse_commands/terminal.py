"""A command's terminal: opened by the command's own process, as the user, and handed to the agent.

The process executes the program only when the agent has taken the terminal. An agent that cannot take it hangs it up,
and a program that had begun by then would end by SIGHUP.

Imported only when a command has one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

# <asm-generic/ioctls.h>. The module `termios` is not needed for anything else.
TIOCSWINSZ = 0x5414
# The packet that brings the terminal, and the answer of an agent that has taken it. It is not empty, since an empty
# packet means the end of the connection.
PACKET = b"terminal"


def open_terminal(columns: int, rows: int) -> None:
    """Make a terminal that controls this session. Both its ends go over standard input, which is a socket.

    The three standard descriptors are the terminal then. Raises OSError, also if the agent does not take it.
    """
    master, slave = os.openpty()
    set_size(slave, columns, rows)
    with socket.socket(fileno=0) as agent:
        # The agent gets both ends. While it has the slave end open, its reads do not fail when no other process has the
        # terminal open.
        socket.send_fds(agent, [PACKET], [master, slave])
        os.close(master)
        if not agent.recv(len(PACKET)):
            # The agent has no descriptors left.
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    os.login_tty(slave)


def set_size(terminal: int, columns: int, rows: int) -> None:
    """Set its size; if that is a new one, the group in the foreground gets SIGWINCH. Raises OSError."""
    fcntl.ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
