"""Linux's inotify, which reports changes in watched folders. gVisor has it, too."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Iterator

IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE = 0x2, 0x4, 0x8
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x40, 0x80, 0x100, 0x200
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
IN_ONLYDIR, IN_EXCL_UNLINK = 0x1000000, 0x4000000

# All events that can change the metadata of an entry. Closing a file that was open for writing is the only sign of
# writes through a memory map.
CHANGES = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE
CHANGES |= IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
WATCH_MASK = CHANGES | IN_ONLYDIR | IN_EXCL_UNLINK

HEAD = struct.Struct("iIII")
COUNT = struct.Struct("i")
# A call returns as many whole events as fit.
READ_BYTES = 65_536

_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Owns one instance. Each has a queue of 16,384 events; IN_Q_OVERFLOW says that some are missing."""

    def __init__(self) -> None:
        """Raises OSError: a uid may have 128 instances on a host, by default."""
        self.descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch_working_folder(self) -> int:
        """Watch the folder that this process is in; returns its watch, always the same for a folder. Raises OSError.

        inotify takes paths, not descriptors. User code could put a link into any other path.
        """
        return _checked(_libc.inotify_add_watch(self.descriptor, b".", WATCH_MASK))

    def unwatch(self, watch: int) -> None:
        """End a watch. It may have ended by itself, with its folder."""
        _libc.inotify_rm_watch(self.descriptor, watch)

    def queued_bytes(self) -> int:
        """The size of all events in the queue."""
        return queued_bytes(self.descriptor)

    def discard(self) -> None:
        """Empty the queue."""
        try:
            while os.read(self.descriptor, READ_BYTES):
                pass
        except BlockingIOError:
            return

    def read_all(self) -> Iterator[tuple[int, int, bytes]]:
        """The events that are in the queue now, oldest first: the watch, what happened, and the name."""
        left = self.queued_bytes()
        while left > 0:
            data = os.read(self.descriptor, READ_BYTES)
            left -= len(data)
            at = 0
            while at < len(data):
                watch, mask, _, size = HEAD.unpack_from(data, at)
                at += HEAD.size
                yield watch, mask, data[at : at + size].rstrip(b"\0")
                at += size

    def close(self) -> None:
        """Close it, with all its watches."""
        os.close(self.descriptor)


def queued_bytes(descriptor: int) -> int:
    """The size of the events in the queue of this instance, which another process may own."""
    (size,) = COUNT.unpack(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(COUNT.size)))
    return int(size)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number))
    return result
