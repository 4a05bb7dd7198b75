"""Gives up every privilege of this process permanently, and checks that none is left.

Afterwards the process runs as another user, none of its five capability sets holds anything, and nothing that it
executes can change that. Other processes of that user cannot touch its memory or its descriptors: it is not dumpable.
"""

from __future__ import annotations

import os

from cellhouse_kernel.capabilities import (
    PR_GET_DUMPABLE,
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
    forbid_new_privileges()
    give_up_own_privileges(uid)


def forbid_new_privileges() -> None:
    """The first part: let no program that is executed from now on have any. Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    empty_bounding_and_ambient_set()
    os.setgroups([])


def give_up_own_privileges(uid: int) -> None:
    """The second part. Raises PrivilegesLeft or OSError."""
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
