"""The helper: what it can do, and what its process may do.

The helper is an early fork of the agent (cellhouse_kernel/forking.py), or else a fresh interpreter (__main__.py).
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
from collections.abc import Callable

from cellhouse_files.archives.reading import read_archive
from cellhouse_files.archives.writing import write_archive
from cellhouse_files.operations.changes import (
    end_watcher,
    look_for_changes,
    make_watcher,
    renew_look,
    tell_events,
)
from cellhouse_files.operations.delete import delete_file
from cellhouse_files.operations.files import (
    finish_write,
    give_up_write,
    make_folder,
    move_file,
    read_file,
    take_over_parts,
    write_file,
)
from cellhouse_files.operations.listing import list_folder, stat_file
from cellhouse_files.server import Helper, Operation
from cellhouse_kernel.forking import CONTROL, Forked, fork_early, ignore_interrupts
from cellhouse_kernel.privileges import (
    KERNEL_UID,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    capability_sets,
    empty_bounding_and_ambient_set,
    prctl,
    set_capabilities,
)

# The mode of new files and folders is that of a user's shell.
UMASK = 0o022
# Its memory is a few MiB. If a tree would take more, the operation fails.
MAX_MEMORY_BYTES = 256 * 1_048_576
# A few for each operation that is under way.
MAX_OPEN_FILES = 256
# setfsuid and setfsgid return the id from before, also when they refuse. Asking for this id changes nothing.
NO_ID = -1

_libc = ctypes.CDLL(None, use_errno=True)

# All operations, by their names in an order.
OPERATIONS: dict[str, Operation] = {
    "stat": stat_file,
    "list": list_folder,
    "read": read_file,
    "write": write_file,
    "finish_write": finish_write,
    "give_up_write": give_up_write,
    "make_folder": make_folder,
    "move": move_file,
    "delete": delete_file,
    "read_archive": read_archive,
    "write_archive": write_archive,
    "look_for_changes": look_for_changes,
    "renew_look": renew_look,
    "make_watcher": make_watcher,
    "tell_events": tell_events,
    "end_watcher": end_watcher,
    "take_over_parts": take_over_parts,
}


def fork_helper(before: Callable[[], None] | None = None) -> Forked:
    """Fork the helper, as `fork_early` does. `before` runs in the helper first."""

    def run() -> None:
        if before:
            before()
        run_helper()

    return fork_early(run)


def run_helper() -> None:
    """Take the user's rights on files, and serve the agent at CONTROL until it hangs up. Then the process ends."""
    ignore_interrupts()
    os.umask(UMASK)
    limit_resources()
    act_as(KERNEL_UID)
    Helper(socket.socket(fileno=CONTROL), OPERATIONS).serve()
    os._exit(0)


def limit_resources() -> None:
    """Limit what this process may use, however hostile a tree is. Raises OSError or ValueError when that is refused."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


class IdentityRefused(Exception):
    """The process did not get the rights that it must have, or has kept others. It must end."""


def act_as(uid: int) -> None:
    """Act on files as this user and the group of the same number, permanently, without any capability.

    Linux asks for the file-system uid when a file is touched, and for the real and saved uid when a process is
    signalled or traced. So a process that only changes its file-system ids may do with files what the user may do, and
    user code can neither signal nor trace it. gVisor has no separate file-system ids: there, the effective ids change.
    The real and saved ones stay, and signals depend on those.

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
