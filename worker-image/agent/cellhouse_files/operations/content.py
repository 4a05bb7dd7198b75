"""Opens files to read and to write them. The bytes themselves go through the agent, who gets the descriptor."""

from __future__ import annotations

import os

from cellhouse_files.entries import entry_of, etag_of
from cellhouse_files.fields import path_field, precondition_field, tags_field
from cellhouse_files.paths import open_file, place_behind_links
from cellhouse_files.operations.folders import make_folders
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields
from cellhouse_files.state import State
from cellhouse_files.turns import Turns
from cellhouse_files.writing import Precondition, Writing, has_tag

# Copying this much of an old file takes some milliseconds: a turn.
COPY_BYTES = 4 * 1_048_576


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
    """Begin with the content that is there."""
    try:
        old, _ = open_file(path)
    except FileNotFoundError:
        return
    try:
        yield from copy_bytes(old, descriptor)
    finally:
        os.close(old)


def copy_bytes(source: int, target: int) -> Turns[None]:
    """Copy what a file holds; raises OSError."""
    offset = 0
    while copied := os.sendfile(target, source, offset, COPY_BYTES):
        offset += copied
        yield None


def finish_write(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Put a file that is complete in its place."""
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
    """Remove the parts that a killed helper has left: the agent's first order, with the memory that helpers share."""
    yield from ()
    if descriptor is None:
        raise Refused("busy", "There is no descriptor.")
    state.parts.take_over(descriptor)
    return Answer({})
