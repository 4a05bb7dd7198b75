"""What user code may do: the user that it runs as, and how a process gives up everything else for good.

- Its privileges (`give_up_privileges`). Afterwards the process runs as another user, none of its five capability sets
  holds anything, and nothing that it executes can change that. Other processes of that user cannot touch its memory or
  its descriptors: it is not dumpable.
- Its claim to memory and to the CPU, when either is short (`yield_to_agent`).
- inotify (`forbid_inotify`).

The system calls for this, which Python does not offer, are at the end (<linux/prctl.h>, <linux/capability.h>). They
affect only the calling thread: a process that changes its privileges must have a single thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from typing import NamedTuple

# The image's user and group of this number (Dockerfile).
KERNEL_UID = 64002
# Its home: the image's /etc/passwd names it (Dockerfile), and the runtime mounts a file system there.
HOME = "/home/user"
# Under memory pressure the kernel is killed first, never the agent.
KERNEL_OOM_SCORE = 1000
# However many processes user code runs, the agent gets the CPU first when it must act. The niceness counts only
# inside the container.
KERNEL_NICENESS = 10

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_IS_SET = 1
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
# All capability numbers are below this; a system answers EINVAL for those that it does not know.
MAX_CAPABILITIES = 64

# <linux/prctl.h>, <linux/seccomp.h>, <linux/bpf_common.h>
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
LOAD_CALL_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
# inotify_init1, inotify_add_watch, inotify_rm_watch. The container's own filter refuses other architectures' calls.
CALLS = (294, 254, 255) if os.uname().machine == "x86_64" else (26, 27, 28)

_libc = ctypes.CDLL(None, use_errno=True)
# A process makes about two hundred calls when it gives up its privileges. So the arguments of each call are converted
# in C.
_raw_prctl = _libc.prctl
_raw_prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


class PrivilegesLeft(Exception):
    """The process still has a privilege that user code must not have. It must end."""


def give_up_privileges(uid: int) -> None:
    """Change permanently to this user and the group of the same number, without any privilege.

    Raises PrivilegesLeft or OSError when anything is left. The process must end then.
    """
    forbid_new_privileges()
    give_up_own_privileges(uid)


def forbid_new_privileges() -> None:
    """The first part: no program that is executed from now on can get a privilege. Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    empty_bounding_and_ambient_set()
    os.setgroups([])


def give_up_own_privileges(uid: int) -> None:
    """The second part: change the user, and drop this process's own privileges. Raises PrivilegesLeft or OSError."""
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change from one ordinary user to another keeps capabilities.
    set_capabilities([])
    # Linux does this at a change of user, unless the host's fs.suid_dumpable is 1.
    prctl(PR_SET_DUMPABLE, 0)
    verify_no_privileges(uid)


def verify_no_privileges(uid: int) -> None:
    """Raise PrivilegesLeft unless this process is this user's and has no privilege in any set."""
    problems = [name for name, held in capability_sets()._asdict().items() if held]
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid):
        problems.append("user or group")
    if os.getgroups():
        problems.append("supplementary groups")
    if prctl(PR_GET_NO_NEW_PRIVS) != 1:
        problems.append("new privileges")
    if prctl(PR_GET_DUMPABLE) != 0:
        problems.append("dumpable")
    if problems:
        raise PrivilegesLeft(", ".join(problems))


def yield_to_agent() -> None:
    """Make this process the first to be killed when memory is short, and the last to get the CPU."""
    # If the process were not dumpable, root would own the files of its /proc/self, and it could not write the score.
    # It stops being dumpable when it changes its user. Until then, only the agent's user could touch it.
    prctl(PR_SET_DUMPABLE, 1)
    # Not as a text file: each forked process would import the encoding anew, which takes two milliseconds.
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(score, str(KERNEL_OOM_SCORE).encode())
    finally:
        os.close(score)
    os.nice(KERNEL_NICENESS)


class InotifyAllowed(Exception):
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


def forbid_inotify() -> None:
    """Forbid inotify to this thread and to all that it starts, for ever; raises OSError or InotifyAllowed.

    The container has it only for the helper for files (cellhouse_files/inotify.py). Linux limits it per uid on the
    whole host, and the code of all workers has the same uid. So one session could use up what is for everybody.

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
        raise InotifyAllowed


class _Header(ctypes.Structure):
    # Process 0 is the caller.
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    # A call takes two of these: for the lower and for the upper 32 capabilities.
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


# Made once: making a type takes longer than the call.
_BothSets = _Sets * 2


class CapabilitySets(NamedTuple):
    """All five capability sets, each a bit mask."""

    effective: int
    permitted: int
    inheritable: int
    bounding: int
    ambient: int


def prctl(option: int, argument: int = 0, argument2: int = 0) -> int:
    """Call prctl; raises OSError when it is refused."""
    return _check(_prctl(option, argument, argument2), f"prctl {option} {argument}")


def set_capabilities(kept: Iterable[int]) -> None:
    """Make just these, all below 32, permitted and effective, and none inheritable. Raises OSError."""
    mask = sum(1 << capability for capability in kept)
    sets = _BothSets(_Sets(mask, mask, 0), _Sets(0, 0, 0))
    _check(_libc.capset(ctypes.byref(_header()), ctypes.byref(sets)), "capset")


def empty_bounding_and_ambient_set() -> None:
    """Let no program that is executed from now on get a capability. Raises OSError."""
    for capability in _answers(PR_CAPBSET_READ):
        prctl(PR_CAPBSET_DROP, capability)
    if _answers(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET):
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def capability_sets() -> CapabilitySets:
    """The sets of the calling thread. The ambient set is empty where the system has none (gVisor)."""
    sets = _BothSets()
    _check(_libc.capget(ctypes.byref(_header()), ctypes.byref(sets)), "capget")
    low, high = sets
    return CapabilitySets(
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
        _mask(_answers(PR_CAPBSET_READ)),
        _mask(_answers(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET)),
    )


def _mask(is_set: dict[int, int]) -> int:
    return sum(1 << capability for capability, answer in is_set.items() if answer)


def _answers(*question: int) -> dict[int, int]:
    """The answer about each capability that the system knows."""
    answers: dict[int, int] = {}
    for bit in range(MAX_CAPABILITIES):
        answer = _prctl(*question, bit)
        # The system does not know this capability, nor any with a higher number.
        if answer < 0:
            break
        answers[bit] = answer
    return answers


def _prctl(option: int, *arguments: int) -> int:
    """The raw call; missing arguments are 0, as prctl demands."""
    return int(_raw_prctl(option, *(*arguments, 0, 0, 0, 0)[:4]))


def _header() -> _Header:
    return _Header(CAPABILITY_VERSION_3, 0)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
