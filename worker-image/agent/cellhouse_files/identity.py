"""Gives this process the user's rights on files, and nothing else of the user's.

Linux asks for the file-system uid when a file is touched, and for the real and saved uid when a process is signalled or
traced. So a process that only changes its file-system ids may do with files what the user may do, and user code can
neither signal nor trace it. gVisor has no separate file-system ids: there, the effective ids change. The real and saved
ones stay, and signals depend on those.
"""

from __future__ import annotations

import ctypes
import errno
import os

from cellhouse_kernel.capabilities import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    capability_sets,
    empty_bounding_and_ambient_set,
    prctl,
    set_capabilities,
)

# setfsuid and setfsgid return the id from before, also when they refuse. Asking for this id changes nothing.
NO_ID = -1

_libc = ctypes.CDLL(None, use_errno=True)


class IdentityRefused(Exception):
    """The process did not get the rights that it must have, or has kept others. It must end."""


def act_as(uid: int) -> None:
    """Act on files as this user and the group of the same number, permanently, without any capability.

    The process needs CAP_SETUID, CAP_SETGID and CAP_SETPCAP for it, and a single thread. Raises IdentityRefused or
    OSError when anything is not as it must be.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    os.setgroups([])
    if not _set_file_system_ids(uid):
        os.setresgid(-1, uid, -1)
        os.setresuid(-1, uid, -1)
    empty_bounding_and_ambient_set()
    set_capabilities([])
    prctl(PR_SET_DUMPABLE, 0)
    verify_acts_as(uid)


def _set_file_system_ids(uid: int) -> bool:
    """Change just the file-system ids; false where the system has none."""
    for change in (_libc.setfsgid, _libc.setfsuid):
        ctypes.set_errno(0)
        change(uid)
        if ctypes.get_errno() == errno.ENOSYS:
            return False
        if change(NO_ID) != uid:
            raise IdentityRefused("the file-system ids did not change")
    return True


def verify_acts_as(uid: int) -> None:
    """Raise IdentityRefused unless this process is this user for files, and for nothing else, and has no privilege."""
    uids, gids = _ids("Uid"), _ids("Gid")
    problems = [name for name, held in capability_sets()._asdict().items() if held]
    for real, effective, saved, file_system in (uids, gids):
        if file_system != uid:
            problems.append("file-system id")
        if uid in (real, saved) or 0 in (real, effective, saved):
            problems.append("real or saved id")
    if os.getgroups():
        problems.append("supplementary groups")
    if problems:
        raise IdentityRefused(", ".join(problems))


def _ids(name: str) -> tuple[int, int, int, int]:
    """The real, effective, saved and file-system id, as the system itself reports them."""
    with open("/proc/thread-self/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith(f"{name}:"):
                real, effective, saved, file_system = map(int, line.split()[1:])
                return real, effective, saved, file_system
    raise IdentityRefused(f"no {name}")
