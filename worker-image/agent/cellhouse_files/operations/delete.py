"""Deletes a file, or a folder with everything in it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from cellhouse_files.paths import FOLDER_FLAGS, open_path, path_field, place_of, step
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields, State
from cellhouse_files.turns import Turns
from cellhouse_files.writing import precondition_field

# More than a worker's disks hold. If code keeps making files meanwhile, the call fails at this limit.
MAX_DELETIONS = 1_000_000
# Each level costs the memory of its name and its status.
MAX_LEVELS = 8_192
REMOVALS_PER_TURN = 500


def delete_file(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Delete the entry of a path, never the target of a link. A folder must be empty unless `recursive` is set.

    The check of the preconditions and the first removal are one turn, so no other operation comes in between.
    """
    path = path_field(fields)
    place = place_of(path)
    try:
        status = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
        precondition_field(fields).check(status, _behind(path, status))
        removal = Removal()
        if not stat.S_ISDIR(status.st_mode):
            removal.unlink(place.name, place.folder, status)
        elif not fields.get("recursive"):
            os.rmdir(place.name, dir_fd=place.folder)
        else:
            yield from removal.remove_tree(place.name, place.folder, status)
        return Answer({"size": removal.size, "files": removal.files})
    finally:
        with state.touching(place):
            os.close(place.folder)


def _behind(path: bytes, status: os.stat_result) -> os.stat_result | None:
    """The target of a link: a caller who has read the link has the target's tag. None: no link, or a broken one."""
    if not stat.S_ISLNK(status.st_mode):
        return None
    try:
        fd = open_path(path, os.O_PATH)
    except (OSError, Refused):
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


class Removal:
    """Counts what it deletes: the bytes of all files, and the files, links and others."""

    def __init__(self) -> None:
        self.size = 0
        self.files = 0
        self._removed = 0

    def unlink(self, name: bytes, folder: int, status: os.stat_result) -> None:
        """Delete anything but a folder."""
        os.unlink(name, dir_fd=folder)
        self.files += 1
        if stat.S_ISREG(status.st_mode):
            self.size += status.st_size

    def remove_tree(self, name: bytes, folder: int, status: os.stat_result) -> Turns[None]:
        """Delete the folder that has this status with one descriptor, however deep it is.

        It goes up by '..', which must still be the same folder.
        """
        levels = [(name, os.fstat(folder))]
        here = os.open(name, FOLDER_FLAGS, dir_fd=folder)
        try:
            if not os.path.samestat(os.fstat(here), status):
                raise Refused("busy", "Another folder has this name now.")
            while levels:
                below = yield from self._empty(here)
                if below is not None:
                    if len(levels) >= MAX_LEVELS:
                        raise Refused("too_large", "The folder is too deep.")
                    # If the folder is gone by now, the next look does not find it.
                    with contextlib.suppress(FileNotFoundError):
                        above = os.fstat(here)
                        here = step(here, below)
                        levels.append((below, above))
                    continue
                name, above = levels.pop()
                here = _up(here, above)
                with contextlib.suppress(FileNotFoundError):
                    os.rmdir(name, dir_fd=here)
        finally:
            os.close(here)

    def _empty(self, here: int) -> Turns[bytes | None]:
        """Delete the entries of a folder; returns the first folder in it that is not empty."""
        is_empty = False
        while not is_empty:
            is_empty = True
            with os.scandir(here) as entries:
                for entry in entries:
                    is_empty = False
                    below = self._remove(os.fsencode(entry.name), here)
                    if below is not None:
                        return below
                    if self._removed % REMOVALS_PER_TURN == 0:
                        yield None
        return None

    def _remove(self, name: bytes, folder: int) -> bytes | None:
        """Delete an entry; returns its name if it is a folder that is not empty."""
        self._removed += 1
        if self._removed > MAX_DELETIONS:
            raise Refused("too_large", "There are too many files to delete.")
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                self.unlink(name, folder, status)
                return None
            os.rmdir(name, dir_fd=folder)
        except FileNotFoundError:
            # The entry was deleted meanwhile.
            return None
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return name
        return None


def _up(here: int, above: os.stat_result) -> int:
    """Open the folder above, which must be where it was. `here` is closed unless this fails.

    Some entries are deleted by now. After `not_found`, the gateway would report that nothing was deleted, so this
    refuses with `not_empty`.
    """
    try:
        there = os.open(b"..", FOLDER_FLAGS, dir_fd=here)
    except FileNotFoundError:
        raise Refused("not_empty", "The folder was removed while it was emptied.") from None
    if not os.path.samestat(os.fstat(there), above):
        os.close(there)
        raise Refused("not_empty", "The folder was moved while it was deleted.")
    os.close(here)
    return there
