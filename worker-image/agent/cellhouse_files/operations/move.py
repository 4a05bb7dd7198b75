"""Gives a file or folder another path."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from cellhouse_files.entries import look_at
from cellhouse_files.fields import path_field
from cellhouse_files.operations.content import copy_bytes
from cellhouse_files.operations.folders import make_folders
from cellhouse_files.parts import Parts
from cellhouse_files.paths import Place, place_of
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields
from cellhouse_files.state import State
from cellhouse_files.turns import Turns
from cellhouse_files.writing import Precondition, Writing


def move_file(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Rename. With `overwrite` a file may be replaced, never a folder that holds something.

    With `make_parents`, the folders above the new path are made, unless there is nothing to move.
    """
    path, goal = path_field(fields, "from"), path_field(fields, "to")
    with contextlib.ExitStack() as cleanup:
        old = place_of(path)
        cleanup.callback(os.close, old.folder)
        if fields.get("make_parents"):
            os.stat(old.name, dir_fd=old.folder, follow_symlinks=False)
            yield from make_folders(goal.rpartition(b"/")[0])
        new = place_of(goal)
        cleanup.callback(os.close, new.folder)
        cleanup.enter_context(state.touching(old))
        cleanup.enter_context(state.touching(new))
        if not fields.get("overwrite") and _exists(new):
            raise Refused("exists", "Something has this name already.")
        try:
            os.rename(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            yield from _move_to_other_disk(old, goal, state.parts)
        return Answer({"entry": look_at(goal, *new)})


def _exists(place: Place) -> bool:
    try:
        os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _move_to_other_disk(old: Place, goal: bytes, parts: Parts) -> Turns[None]:
    """The home, /tmp and /dev/shm are disks of their own: between them, a file is copied, then deleted."""
    status = os.stat(old.name, dir_fd=old.folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise Refused("other_disk", "Only a file can be moved to another disk.")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    source = os.open(old.name, flags, dir_fd=old.folder)
    try:
        place = place_of(goal)
        try:
            writing = Writing(goal, place, Precondition(), parts)
        except (OSError, Refused):
            os.close(place.folder)
            raise
        try:
            yield from copy_bytes(source, writing.descriptor)
            os.fchmod(writing.descriptor, stat.S_IMODE(status.st_mode))
            writing.finish()
        finally:
            os.close(writing.descriptor)
            writing.give_up()
    finally:
        os.close(source)
    os.unlink(old.name, dir_fd=old.folder)
