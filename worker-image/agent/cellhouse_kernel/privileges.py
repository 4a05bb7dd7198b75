"""Gives up every privilege of this process permanently, and checks that none is left.

A kernel that is executed leaves this to setpriv; one that is forked has to do it itself. Afterwards the process runs as
another user, none of its five capability sets holds anything, and nothing that it executes can change that.
"""

from __future__ import annotations

import os

from cellhouse_kernel.capabilities import (
    PR_GET_NO_NEW_PRIVS,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    capability_sets,
    empty_bounding_and_ambient_set,
    prctl,
    set_capabilities,
)


class PrivilegesLeft(Exception):
    """The process still has a privilege that user code must not have. It must end."""


def give_up_privileges(uid: int) -> None:
    """Change permanently to this user and the group of the same number, without any privilege.

    Raises PrivilegesLeft or OSError when anything is left. The process must end then.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    empty_bounding_and_ambient_set()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change from one ordinary user to another keeps capabilities.
    set_capabilities([])
    verify_no_privileges(uid)
    # The change of user made the process undumpable, so its /proc/self would belong to root. User code may see all of
    # /proc/self: nothing in the memory of this process belongs to anybody else (docs/decisions, fork server).
    prctl(PR_SET_DUMPABLE, 1)


def verify_no_privileges(uid: int) -> None:
    """Raise PrivilegesLeft unless this process is this user's and has no privilege in any set."""
    problems = [name for name, held in capability_sets()._asdict().items() if held]
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid):
        problems.append("user or group")
    if os.getgroups():
        problems.append("supplementary groups")
    if prctl(PR_GET_NO_NEW_PRIVS) != 1:
        problems.append("new privileges")
    if problems:
        raise PrivilegesLeft(", ".join(problems))
