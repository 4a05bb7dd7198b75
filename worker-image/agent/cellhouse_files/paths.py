"""Paths: which paths the caller may name, and how a path is opened. All paths are bytes, for a name need not be UTF-8.

Linux resolves a path with the user's rights, so a link leads only to where the user may go. /proc is the exception:
what it shows depends on the process that looks, so the helper would show itself. So /proc is refused, like /sys.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import pwd
import stat
from typing import Any, NamedTuple

from cellhouse_files.refusals import Refused
from cellhouse_kernel.privileges import KERNEL_UID

HOME = os.fsencode(pwd.getpwuid(KERNEL_UID).pw_dir)
# Linux's own limits (<linux/limits.h>), without the NUL at the end of a path.
MAX_PATH_BYTES = 4_095
MAX_NAME_BYTES = 255
# As many links as Linux follows.
MAX_LINKS = 40
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PSEUDO_FILE_SYSTEMS = ("/proc", "/sys", "/sys/fs/cgroup")
# <linux/openat2.h>
SYS_OPENAT2 = 437
AT_FDCWD = -100
RESOLVE_NO_MAGICLINKS = 0x02

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


class Place(NamedTuple):
    """A name in a folder that is open, so that nobody can exchange the folder any more. The caller closes `folder`."""

    folder: int
    name: bytes


def absolute(path: bytes) -> bytes:
    """The path from the root, without doubled slashes and dots; raises Refused. A relative path begins in the home."""
    if b"\0" in path:
        raise Refused("bad_path", "A path has no NUL.")
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise Refused("bad_path", "A path has no '..'.")
    if any(len(part) > MAX_NAME_BYTES for part in parts):
        raise Refused("bad_path", f"A name has at most {MAX_NAME_BYTES} bytes.")
    whole = b"/".join(parts)
    whole = b"/" + whole if path.startswith(b"/") else b"/".join([HOME, whole] if whole else [HOME])
    if len(whole) > MAX_PATH_BYTES:
        raise Refused("bad_path", f"A path has at most {MAX_PATH_BYTES} bytes.")
    return whole


def path_field(fields: dict[str, Any], name: str = "path") -> bytes:
    """The path in a field of an order, as a path from the root; raises Refused. Each character stands for a byte."""
    return absolute(fields[name].encode("latin-1"))


def shown(path: bytes) -> bytes:
    """How a path from the root is named in answers: relative to the home, if it is in there."""
    if path == HOME:
        return b"."
    return path[len(HOME) + 1 :] if path.startswith(HOME + b"/") else path


def open_path(path: bytes, flags: int) -> int:
    """Open what a path from the root leads to; raises OSError, or Refused for a pseudo file system.

    It waits for nothing: a FIFO without another end, or a terminal, is opened at once.
    """
    # openat2 refuses flags that have no effect together with O_PATH.
    waiting = 0 if flags & os.O_PATH else os.O_NONBLOCK | os.O_NOCTTY
    fd = _open(path, flags | os.O_CLOEXEC | waiting)
    if os.fstat(fd).st_dev in _pseudo_devices():
        os.close(fd)
        raise Refused("permission_denied", "This is not a file of the session's.")
    return fd


def open_folder(path: bytes) -> int:
    """Open a folder, only to reach the entries in it."""
    return open_path(path, os.O_PATH | os.O_DIRECTORY)


def place_of(path: bytes) -> Place:
    """The folder and the name of a path from the root. A link at its end is not followed."""
    folder, _, name = path.rpartition(b"/")
    if not name:
        raise Refused("permission_denied", "The root cannot be changed.")
    return Place(open_folder(folder or b"/"), name)


def place_behind_links(path: bytes) -> Place:
    """Like `place_of`, but follows the links at the end of the path, as when a file is opened to write."""
    for _ in range(MAX_LINKS):
        place = place_of(path)
        try:
            target = os.readlink(place.name, dir_fd=place.folder)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return place
            os.close(place.folder)
            raise
        os.close(place.folder)
        parent = b"/" if target.startswith(b"/") else path.rpartition(b"/")[0] + b"/"
        path = (parent + target).rstrip(b"/")
        if path.rpartition(b"/")[2] in (b"", b".", b".."):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def open_file(path: bytes) -> tuple[int, os.stat_result]:
    """Open a regular file to read it; raises OSError or Refused."""
    fd = open_path(path, os.O_RDONLY)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise Refused("not_a_file", "This is no regular file.")
    return fd, status


def step(here: int, name: bytes) -> int:
    """Open a folder from an open one, which is closed unless this fails. A link is not followed."""
    there = os.open(name, FOLDER_FLAGS, dir_fd=here)
    os.close(here)
    return there


def path_of(place: Place) -> bytes | None:
    """The path from the root, whatever links led to it; None if the folder is gone."""
    try:
        # /proc/self/fd would show the path, too, but gVisor hides it from a process that cannot be traced.
        os.fchdir(place.folder)
        return os.getcwdb() + b"/" + place.name
    except OSError:
        return None
    finally:
        os.chdir("/")


def _open(path: bytes, flags: int) -> int:
    """openat2, which refuses the links of /proc; where the system does not have it, a plain open."""
    return _openat2(path, flags) if _has_openat2() else os.open(path, flags)


@functools.cache
def _has_openat2() -> bool:
    """gVisor does not have openat2, and answers EPERM."""
    try:
        os.close(_openat2(b"/", os.O_PATH | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _openat2(path: bytes, flags: int) -> int:
    how = _OpenHow(flags, 0, RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    fd: int = _libc.syscall(
        ctypes.c_long(SYS_OPENAT2), AT_FDCWD, ctypes.c_char_p(path), ctypes.byref(how), size
    )
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


@functools.cache
def _pseudo_devices() -> frozenset[int]:
    present = filter(os.path.exists, PSEUDO_FILE_SYSTEMS)
    return frozenset(os.stat(path).st_dev for path in present)
