"""Gives up every privilege of this process for good, and proves it.

A kernel that is executed leaves this to setpriv; one that is forked has to do it itself. Afterwards the process runs as
another user, none of its five capability sets holds anything, and nothing that it executes can change that.
"""

from __future__ import annotations

import ctypes
import os

# From linux/prctl.h and linux/capability.h.
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_IS_SET = 1
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
# Capabilities are numbered below this; a system says EINVAL for those that it does not know.
MAX_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    """struct __user_cap_header_struct; pid 0 is the caller."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    """struct __user_cap_data_struct, of which there are two: the lower and the upper 32 capabilities."""

    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


class PrivilegesLeft(Exception):
    """The process could do more than user code may. It must end."""


def become(uid: int) -> None:
    """Turn this process, for good, into one of this user, and of the group of the same number, without any privilege.

    Raises PrivilegesLeft or OSError when anything is left; the process must then not go on. It must have one thread
    only: capabilities are a thread's.
    """
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(MAX_CAPABILITIES):
        if _knows(capability):
            _prctl(PR_CAPBSET_DROP, capability)
    if _has_ambient_set():
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change from one ordinary user to another keeps capabilities.
    _capset_nothing()
    verify(uid)
    # The change of user made the process undumpable: its /proc/self would belong to root, as if user code had something
    # to hide from itself. Nothing in its memory is anybody else's (docs/decisions, fork server).
    _prctl(PR_SET_DUMPABLE, 1)


def verify(uid: int) -> None:
    """Raise PrivilegesLeft unless this process is this user's and has no privilege in any set."""
    problems: list[str] = []
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid):
        problems.append("user or group")
    if os.getgroups():
        problems.append("supplementary groups")
    effective, permitted, inheritable = _capget()
    sets = {"effective": effective, "permitted": permitted, "inheritable": inheritable}
    problems += [name for name, capabilities in sets.items() if capabilities]
    known = [capability for capability in range(MAX_CAPABILITIES) if _knows(capability)]
    if any(_libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) for capability in known):
        problems.append("bounding")
    if _has_ambient_set() and any(
        _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) for capability in known
    ):
        problems.append("ambient")
    if _libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        problems.append("no-new-privileges is off")
    if problems:
        raise PrivilegesLeft(", ".join(problems))


def _knows(capability: int) -> bool:
    """Whether the system has a capability of this number."""
    return int(_libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0


def _has_ambient_set() -> bool:
    """Whether the system has ambient capabilities at all."""
    return int(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, 0)) >= 0


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {argument}): {os.strerror(number)}")


def _capset_nothing() -> None:
    if _libc.capset(ctypes.byref(_Header(CAPABILITY_VERSION_3, 0)), (_Data * 2)()) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def _capget() -> tuple[int, int, int]:
    """The effective, permitted and inheritable set."""
    data = (_Data * 2)()
    if _libc.capget(ctypes.byref(_Header(CAPABILITY_VERSION_3, 0)), data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capget: {os.strerror(number)}")
    low, high = data
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )
