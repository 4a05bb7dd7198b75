"""Makes folders."""

from __future__ import annotations

import os
import stat

from cellhouse_files.entries import look_at
from cellhouse_files.fields import path_field
from cellhouse_files.paths import open_folder, place_of
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields
from cellhouse_files.state import State
from cellhouse_files.turns import Turns

NEW_FOLDER_MODE = 0o755
FOLDERS_PER_TURN = 100


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
            # The user may not write here, for example in /, but the folder may be there.
            if not os.path.isdir(b"/".join(parts[:count])):
                raise
        if count % FOLDERS_PER_TURN == 0:
            yield None


def make_folder(_state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Make a folder, with `parents` those above it, too. It may exist already."""
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
        return Answer({"entry": look_at(path, *place), "created": created})
    finally:
        os.close(place.folder)
