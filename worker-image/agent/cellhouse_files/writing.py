"""A file that is being written: under a name of its own beside the target, and renamed once it is complete.

States: begun -> finished | given up. Nobody sees half a file under the target's name, even if the helper or the agent
dies.

Until the file is renamed, it is called a part (Parts). A write may have preconditions, as in HTTP.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

from cellhouse_files.entries import Entry, entry_of, etag_of
from cellhouse_files.paths import Place, open_folder, path_of
from cellhouse_files.refusals import Refused

NEW_FILE_MODE = 0o644
ANY = "*"
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


@dataclass(frozen=True)
class Precondition:
    """The target must have one of the tags `if_match`, and none of `if_none_match`. `*` stands for any tag."""

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None

    def check(self, *found: os.stat_result | None) -> None:
        """Raise Refused unless the tags fit. `found`: the file (None: there is none), and the target of a link."""
        present = {etag_of(status) for status in found if status}
        if self.if_match is not None and not has_tag(self.if_match, present):
            raise Refused("precondition_failed", "The file has changed.")
        if self.if_none_match is not None and has_tag(self.if_none_match, present):
            raise Refused("precondition_failed", "The file exists already.")


def tags_field(fields: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """The entity tags of a precondition, which are separated by commas; None: there is no such precondition."""
    value = fields.get(name)
    return None if value is None else tuple(tag.strip() for tag in value.split(","))


def precondition_field(fields: dict[str, Any]) -> Precondition:
    """Both preconditions of an order."""
    return Precondition(tags_field(fields, "if_match"), tags_field(fields, "if_none_match"))


def has_tag(tags: tuple[str, ...], present: Set[str]) -> bool:
    """Whether one of the tags `present` is among `tags`. If no file is there, `present` is empty."""
    return bool(present) and (ANY in tags or not present.isdisjoint(tags))


def target_status(place: Place) -> os.stat_result | None:
    """The file that is to be replaced; None if there is none. Raises Refused for anything but a regular file."""
    try:
        status = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise Refused("not_a_file", "This is a folder.")
    if not stat.S_ISREG(status.st_mode):
        raise Refused("not_a_file", "This is no regular file.")
    return status


class Writing:
    """Owns `place.folder`, and closes it at its end. `descriptor` is open to write, and the caller must close it."""

    def __init__(self, path: bytes, place: Place, precondition: Precondition, parts: Parts) -> None:
        self.path = path
        self.place = place
        self._precondition = precondition
        self._parts = parts
        self._is_over = False
        old = target_status(place)
        precondition.check(old)
        self._part, self.descriptor = parts.create(place.folder)
        os.fchmod(self.descriptor, stat.S_IMODE(old.st_mode) if old else NEW_FILE_MODE)
        self._identity = os.fstat(self.descriptor)

    def finish(self) -> tuple[Entry, bool]:
        """Put the file in its place; returns its entry, and whether the place was empty. Raises OSError or Refused."""
        with self._ending(), contextlib.ExitStack() as stack:
            folder, name = self.place.folder, self.place.name
            # Code may remove the file as soon as it is in its place. So its entry is read through a descriptor.
            written = os.open(self._part, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, written)
            if not os.path.samestat(os.fstat(written), self._identity):
                raise Refused("not_found", "The file was replaced while it was being written.")
            old = target_status(self.place)
            self._precondition.check(old)
            if self._precondition.if_none_match == (ANY,):
                # A link fails where a rename would replace a file that appeared a moment ago.
                os.link(self._part, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.unlink(self._part, dir_fd=folder)
            else:
                os.rename(self._part, name, src_dir_fd=folder, dst_dir_fd=folder)
            return entry_of(self.path, os.fstat(written)), old is None

    def give_up(self) -> None:
        """Leave the target as it was. Does nothing when the writing is over."""
        if not self._is_over:
            with self._ending():
                pass

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        self._is_over = True
        try:
            yield
        finally:
            self._parts.remove(self.place.folder, self._part)
            os.close(self.place.folder)


class Parts:
    """The names of all parts, and their slots.

    Listings, archives and the changes of executions leave out just these names. If the helper is killed, its parts
    stay. So it notes the path of each part in memory that the agent keeps and gives to the next helper, which removes
    the parts. There is a slot for each part. A file is only removed if it is the very one that was noted, never one
    that user code has put there.
    """

    def __init__(self) -> None:
        self._slots: dict[bytes, int] = {}
        # None before `take_over`: there are no notes.
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
        # The note comes first, so that a part never exists without a note.
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
        """Remove the parts that a killed helper left, and from now on keep this helper's notes in the same memory."""
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
    """The descriptor of the memory for the notes. Unused slots take no memory."""
    memory = os.memfd_create("parts")
    # Under gVisor, user code may open a file that a process of another user has open, if the file's mode allows it.
    os.fchmod(memory, 0)
    os.truncate(memory, MEMORY_BYTES)
    return memory


def _notes_in(memory: int) -> Iterator[tuple[int, Note]]:
    """The slot and the content of each note. A note that was cut while it was written is left out."""
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
