"""Watches folders: makes a watcher, tells what has happened, and ends a watcher."""

from __future__ import annotations

import json
import os
from typing import Any

from cellhouse_files.entries import Entry, look_at, named
from cellhouse_files.fields import path_field
from cellhouse_files.paths import place_of
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields
from cellhouse_files.state import State
from cellhouse_files.turns import Turns
from cellhouse_files.watchers.differences import CHMOD, CREATE, WRITE, Event
from cellhouse_files.watchers.watcher import Watcher, Wish

# The limits of one answer. The rest comes with the next one.
MAX_TOLD_EVENTS = 1_000
MAX_TOLD_BYTES = 4 * 1_048_576
ENTRIES_PER_TURN = 100
# After any other event, another thing may have the name.
WITH_ENTRY = (CREATE, WRITE, CHMOD)
# How the watched folder itself is named.
ITSELF = b"."


def make_watcher(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Watch a folder from now on."""
    wish = Wish(
        path_field(fields), fields["recursive"], fields["entries"], fields["keep_ms"] / 1_000
    )
    watcher = Watcher(wish, state.parts)
    watcher_id = yield from state.watchers.add(watcher)
    return Answer({"watcher": watcher_id})


def tell_events(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """What has happened since the last answer, each event once, as JSON in a file in memory."""
    watcher = state.watchers.get(fields["watcher"])
    yield from watcher.look()
    taken = watcher.take(MAX_TOLD_EVENTS)
    try:
        told = yield from _told(taken, watcher.wish)
        rest = taken[len(told) :]
        has_more = json.dumps(bool(rest or watcher.events))
        answer = Answer.in_memory(f'{{"events": [{", ".join(told)}], "has_more": {has_more}}}')
    except BaseException:
        # Nobody has got these events, so they are kept. This may also be because the caller has gone away.
        watcher.give_back(taken)
        raise
    watcher.give_back(rest)
    return answer


def _told(events: list[Event], wish: Wish) -> Turns[list[str]]:
    """The first of these events, as JSON."""
    told: list[str] = []
    size = 0
    for kind, name in events:
        event: dict[str, Any] = {"event": kind, **named("name", name or ITSELF)}
        if wish.has_entries:
            event["entry"] = _entry(wish.path, name) if kind in WITH_ENTRY else None
            if len(told) % ENTRIES_PER_TURN == 0:
                yield None
        told.append(json.dumps(event))
        size += len(told[-1])
        if size >= MAX_TOLD_BYTES:
            break
    return told


def end_watcher(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Watch a folder no more."""
    yield from ()
    state.watchers.end(fields["watcher"])
    return Answer({})


def _entry(folder: bytes, name: bytes) -> Entry | None:
    """The entry that has this name by now; None if there is none."""
    path = folder.rstrip(b"/") + b"/" + name if name else folder
    try:
        place = place_of(path)
        try:
            return look_at(path, *place)
        finally:
            os.close(place.folder)
    except (OSError, Refused):
        return None
