"""The answer of an operation that cannot be done: a code of docs/internals/worker-protocol.md, "Files"."""

from __future__ import annotations

import errno
import os

CODES = {
    errno.ENOENT: "not_found",
    errno.ENOTDIR: "not_a_directory",
    errno.EISDIR: "not_a_file",
    errno.ENXIO: "not_a_file",
    errno.ENODEV: "not_a_file",
    errno.EIO: "not_a_file",
    errno.EOPNOTSUPP: "not_a_file",
    errno.ETXTBSY: "not_a_file",
    errno.EEXIST: "exists",
    errno.ENOTEMPTY: "not_empty",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "permission_denied",
    errno.EBUSY: "permission_denied",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.ELOOP: "too_many_links",
    errno.ENAMETOOLONG: "bad_path",
    errno.EINVAL: "bad_path",
    errno.EXDEV: "other_disk",
    errno.EMFILE: "busy",
    errno.ENFILE: "busy",
    errno.EAGAIN: "busy",
    errno.ENOMEM: "busy",
}


class Refused(Exception):
    """The operation was not done. The message never contains a name or content."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def refusal_of(error: OSError) -> Refused:
    """The refusal that a system call's error means to the caller."""
    number = error.errno or 0
    return Refused(CODES.get(number, "internal"), os.strerror(number))
