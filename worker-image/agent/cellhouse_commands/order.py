"""What a command is to run, and what becomes of that: a file in memory, shared by the agent and the command's process.

The agent writes an order, as a JSON object: {"argv": [...], "environment": {...}, "directory": "/home/user",
"terminal": {"columns": 80, "rows": 24} or null}. The command's process reads it, and puts one of these in its place
before it executes the program:

    {"begun": {"cpu_ms": 1.5, "max_rss_bytes": 9000000}}   it executes the program now; what it has used itself so far
    {"failed": {"step": "enter", "errno": 2}}              it could not, and ends with NOT_BEGUN

The process closes the file when it executes the program, and no other process of the user can open it.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

# The exit code of a process that could not execute the program. Only together with `failed` does it mean that.
NOT_BEGUN = 127
READ_BYTES = 1_048_576
# The packet that brings an order's descriptors, and the answer of the process that has taken them. It is not empty,
# since an empty packet means the end of the connection.
PACKET = b"order"

type Content = dict[str, Any]


def make_order(content: Content) -> int:
    """The file, with an order. Raises OSError."""
    order = os.memfd_create("order", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        # Under gVisor, user code may open what a process of another user has open, if the file's mode allows it.
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
    """Let nobody write to it any more. A process that then cannot write that it begins ends instead."""
    fcntl.fcntl(order, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)


def read_order(order: int) -> Content:
    """The content. Raises OSError, and ValueError if it is being replaced."""
    data = b""
    while piece := os.pread(order, READ_BYTES, len(data)):
        data += piece
    content: Content = json.loads(data)
    return content
