"""The parts of files that are being written: each has a name of its own beside its target until it is complete.

Listings, archives and the changes of executions leave out just these names. If the helper is killed, its parts stay. So
it notes where each is, in memory that the agent keeps and gives to the next helper, which removes them. There is a slot
for each part. A file is only removed if it is the very one that was noted, never one that user code has put there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from typing import Any

from cellhouse_files.paths import Place, open_folder, path_of
from cellhouse_files.refusals import Refused

PART_PREFIX = ".cellhouse-part-"
PART_RANDOM_BYTES = 8
# Each operation writes one file at a time, and the agent has fewer operations under way at once.
MAX_PARTS = 64
# JSON with a path of 4,095 bytes, each of which may be escaped.
SLOT_BYTES = 32_768
MEMORY_BYTES = MAX_PARTS * SLOT_BYTES
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# `path` from the root, one character for each byte, and `identity`: device and inode, or null.
type Note = dict[str, Any]


class Parts:
    """The names of all parts, and their slots."""

    def __init__(self) -> None:
        self._slots: dict[bytes, int] = {}
        # None: nobody keeps the notes.
        self._memory: int | None = None

    def __contains__(self, name: object) -> bool:
        return name in self._slots

    def create(self, folder: int) -> tuple[bytes, int]:
        """Create a part in an open folder; returns its name and a descriptor. Raises OSError or Refused."""
        if len(self._slots) >= MAX_PARTS:
            raise Refused("busy", "Too many files are being written.")
        name = f"{PART_PREFIX}{secrets.token_hex(PART_RANDOM_BYTES)}".encode()
        self._slots[name] = min(set(range(MAX_PARTS)) - set(self._slots.values()))
        path = path_of(Place(folder, name))
        # Noted first, so that no moment is left in which a part is there and not noted.
        self._note(name, path, None)
        try:
            descriptor = os.open(name, CREATE_FLAGS, 0o600, dir_fd=folder)
        except OSError:
            self._forget(name)
            raise
        self._note(name, path, os.fstat(descriptor))
        return name, descriptor

    def remove(self, folder: int, name: bytes) -> None:
        """Remove a part. Its file has the final name by now, or was given up."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        self._forget(name)

    def take_over(self, memory: int) -> None:
        """Remove the parts of a helper that was killed, and keep the notes in its memory from now on."""
        self._memory = os.dup(memory)
        for slot, note in _notes_in(memory):
            with contextlib.suppress(OSError, Refused):
                _remove_noted(note)
            self._clear(slot)

    def _note(self, name: bytes, path: bytes | None, status: os.stat_result | None) -> None:
        if self._memory is None or path is None:
            return
        identity = [status.st_dev, status.st_ino] if status else None
        note = json.dumps({"path": path.decode("latin-1"), "identity": identity}).encode()
        os.pwrite(self._memory, note + b"\0", self._slots[name] * SLOT_BYTES)

    def _forget(self, name: bytes) -> None:
        self._clear(self._slots.pop(name))

    def _clear(self, slot: int) -> None:
        if self._memory is not None:
            os.pwrite(self._memory, b"\0", slot * SLOT_BYTES)


def make_memory() -> int:
    """The memory for the notes: a descriptor. What is not used costs nothing."""
    memory = os.memfd_create("parts")
    # Under gVisor, user code may open what a process of another user has open, if the file's mode allows it.
    os.fchmod(memory, 0)
    os.truncate(memory, MEMORY_BYTES)
    return memory


def _notes_in(memory: int) -> Iterator[tuple[int, Note]]:
    """The slot and the content of each note. One that was cut while it was written is left out."""
    for slot in range(MAX_PARTS):
        data = os.pread(memory, SLOT_BYTES, slot * SLOT_BYTES).partition(b"\0")[0]
        with contextlib.suppress(ValueError):
            if data:
                yield slot, json.loads(data)


def _remove_noted(note: Note) -> None:
    """Remove the part, unless its name now belongs to another file; raises OSError or Refused."""
    path = note["path"].encode("latin-1")
    folder_path, _, name = path.rpartition(b"/")
    folder = open_folder(folder_path or b"/")
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if note["identity"]:
            is_part = note["identity"] == [status.st_dev, status.st_ino]
        else:
            # The helper was killed in the moment in which it created the part.
            is_part = status.st_size == 0
        if is_part and stat.S_ISREG(status.st_mode):
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)
