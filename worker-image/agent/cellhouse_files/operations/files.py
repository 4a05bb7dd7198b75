"""Reads, writes and moves files, and makes folders.

The helper opens a file, and the agent reads or writes its bytes with the descriptor that it gets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from cellhouse_files.entries import entry_at, entry_of, etag_of
from cellhouse_files.paths import (
    Place,
    open_file,
    open_folder,
    path_field,
    place_behind_links,
    place_of,
)
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields, State, required
from cellhouse_files.turns import Turns
from cellhouse_files.writing import (
    Parts,
    Precondition,
    Writing,
    has_tag,
    precondition_field,
    tags_field,
)

# Copying this much of an old file takes a few milliseconds: a turn.
COPY_BYTES = 4 * 1_048_576
NEW_FOLDER_MODE = 0o755
FOLDERS_PER_TURN = 100


def read_file(_state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Open a regular file to read; the answer has its entry and whether the caller has it already."""
    yield from ()
    path = path_field(fields)
    fd, status = open_file(path)
    try:
        Precondition(tags_field(fields, "if_match")).check(status)
        known = tags_field(fields, "if_none_match")
        is_known = known is not None and has_tag(known, {etag_of(status)})
    except Refused:
        os.close(fd)
        raise
    return Answer({"entry": entry_of(path, status), "is_known": is_known}, fd)


def write_file(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Begin to write a file, at its end with `append`. The answer is `writing`, and a descriptor to write to."""
    path = path_field(fields)
    if fields.get("make_parents"):
        yield from make_folders(path.rpartition(b"/")[0])
    precondition = precondition_field(fields)
    place = place_behind_links(path)
    try:
        writing = Writing(path, place, precondition, state.parts)
    except (OSError, Refused):
        os.close(place.folder)
        raise
    try:
        if fields.get("append"):
            yield from _copy_old(path, writing.descriptor)
    except BaseException:
        os.close(writing.descriptor)
        writing.give_up()
        raise
    number = state.keep(writing)
    return Answer({"writing": number}, writing.descriptor)


def _copy_old(path: bytes, descriptor: int) -> Turns[None]:
    """Begin with the file's present content, if it exists."""
    try:
        old, _ = open_file(path)
    except FileNotFoundError:
        return
    try:
        yield from copy_bytes(old, descriptor)
    finally:
        os.close(old)


def copy_bytes(source: int, target: int) -> Turns[None]:
    """Copy the content of a file; raises OSError."""
    offset = 0
    while copied := os.sendfile(target, source, offset, COPY_BYTES):
        offset += copied
        yield None


def finish_write(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Put a complete file in the target's place."""
    yield from ()
    writing = state.take(fields["writing"])
    with state.touching(writing.place):
        entry, created = writing.finish()
    return Answer({"entry": entry, "created": created})


def give_up_write(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Leave the target as it was."""
    yield from ()
    state.take(fields["writing"]).give_up()
    return Answer({})


def take_over_parts(state: State, _fields: Fields, descriptor: int | None) -> Turns[Answer]:
    """Remove the parts that a killed helper has left. `descriptor`: the memory that it has noted them in.

    This is the agent's first order to each helper.
    """
    yield from ()
    state.parts.take_over(required(descriptor))
    return Answer({})


def make_folders(path: bytes) -> Turns[None]:
    """Make a folder and those above it, as far as they do not exist; raises OSError."""
    try:
        os.close(open_folder(path or b"/"))
        return
    except FileNotFoundError:
        yield None
    parts = path.split(b"/")
    for count in range(2, len(parts) + 1):
        try:
            os.mkdir(b"/".join(parts[:count]), NEW_FOLDER_MODE)
        except FileExistsError:
            # A folder or a link to one; anything else makes the next step fail.
            continue
        except OSError:
            # The user may not write here, for example in /, but the folder may exist.
            if not os.path.isdir(b"/".join(parts[:count])):
                raise
        if count % FOLDERS_PER_TURN == 0:
            yield None


def make_folder(_state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Make a folder and, with `parents`, the folders above it. It may exist already."""
    path = path_field(fields)
    if fields.get("parents"):
        yield from make_folders(path.rpartition(b"/")[0])
    place = place_of(path)
    try:
        created = True
        try:
            os.mkdir(place.name, NEW_FOLDER_MODE, dir_fd=place.folder)
        except FileExistsError:
            created = False
            status = os.stat(place.name, dir_fd=place.folder)
            if not stat.S_ISDIR(status.st_mode):
                raise Refused("exists", "Something else has this name.") from None
        return Answer({"entry": entry_at(path, *place), "created": created})
    finally:
        os.close(place.folder)


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
        return Answer({"entry": entry_at(goal, *new)})


def _exists(place: Place) -> bool:
    try:
        os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _move_to_other_disk(old: Place, goal: bytes, parts: Parts) -> Turns[None]:
    """The home, /tmp and /dev/shm are disks of their own. Between them, a file is copied and its original deleted."""
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
