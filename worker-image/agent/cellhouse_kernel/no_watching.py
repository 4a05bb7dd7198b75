"""Takes inotify away from user code: the container has it only for the helper for files (cellhouse_files/inotify.py).

Its quota counts per user on the whole host, and all workers' code has the same user, so one session could use up
everybody's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

from cellhouse_kernel.capabilities import prctl

# <linux/prctl.h>, <linux/seccomp.h>, <linux/bpf_common.h>
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
LOAD_CALL_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
# inotify_init1, inotify_add_watch, inotify_rm_watch. The container's own filter refuses other architectures' calls.
CALLS = (294, 254, 255) if platform.machine() == "x86_64" else (26, 27, 28)

_libc = ctypes.CDLL(None, use_errno=True)


class WatchingAllowed(Exception):
    """The kernel could still use inotify. It must end."""


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction))]


def forbid_watching() -> None:
    """Forbid inotify to this thread and to all that it starts, for ever; raises OSError or WatchingAllowed.

    The process needs PR_SET_NO_NEW_PRIVS.
    """
    refuse = len(CALLS)
    steps = [(LOAD_CALL_NUMBER, 0, 0, 0)]
    for index, call in enumerate(CALLS):
        steps.append((JUMP_IF_EQUAL, refuse - index, 0, call))
    steps.append((RETURN, 0, 0, SECCOMP_RET_ALLOW))
    steps.append((RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM))
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(len(steps), instructions)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))
    fd = _libc.inotify_init1(os.O_CLOEXEC)
    if fd >= 0:
        os.close(fd)
        raise WatchingAllowed
