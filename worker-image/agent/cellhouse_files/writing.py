"""A file that is being written: under a name of its own beside the target, and renamed once it is complete.

States: begun -> finished | given up. Nobody sees half a file under the target's name, whenever anything dies.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Set
from dataclasses import dataclass

from cellhouse_files.entries import Entry, entry_of, etag_of
from cellhouse_files.parts import Parts
from cellhouse_files.paths import Place
from cellhouse_files.refusals import Refused

NEW_FILE_MODE = 0o644
ANY = "*"


@dataclass(frozen=True)
class Precondition:
    """The target must have one of the tags `if_match`, and none of `if_none_match`. `*` stands for any tag."""

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None

    def check(self, *found: os.stat_result | None) -> None:
        """Raise Refused unless what is there (None: nothing) has the right tags. For a link, its target counts, too."""
        present = {etag_of(status) for status in found if status}
        if self.if_match is not None and not has_tag(self.if_match, present):
            raise Refused("precondition_failed", "The file has changed.")
        if self.if_none_match is not None and has_tag(self.if_none_match, present):
            raise Refused("precondition_failed", "The file exists already.")


def has_tag(tags: tuple[str, ...], present: Set[str]) -> bool:
    """Whether one of the tags `present` is among `tags`. There are none if nothing is there."""
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
            # Code may remove the file as soon as it is in its place. It was written all the same.
            written = os.open(self._part, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, written)
            if not os.path.samestat(os.fstat(written), self._identity):
                raise Refused("not_found", "The file was exchanged while it was written.")
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
