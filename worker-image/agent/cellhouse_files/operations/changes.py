"""Reports changes: in the home since the last look, and in folders that are watched."""

from __future__ import annotations

import json
import os
from typing import Any

from cellhouse_files.entries import NS_PER_MS, Entry, entry_at, named
from cellhouse_files.home_changes import MAX_CHANGES, MAX_CHANGES_BYTES, Change
from cellhouse_files.home_tree import TooMuch
from cellhouse_files.paths import path_field, place_of
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields, State
from cellhouse_files.snapshots import CHMOD, CREATE, WRITE, Event
from cellhouse_files.turns import Turns
from cellhouse_files.watchers import Watcher, WatchOptions

# The limits of one answer. The rest comes with the next one.
MAX_TOLD_EVENTS = 1_000
MAX_TOLD_BYTES = 4 * 1_048_576
ENTRIES_PER_TURN = 100
# The events that are reported with an entry. After any other event, something else may have the name.
WITH_ENTRY = (CREATE, WRITE, CHMOD)
# How the watched folder itself is named.
ITSELF = b"."


def renew_look(state: State, _fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Look at everything. `reason` says why that failed. The descriptor, if there is one, shows further changes."""
    yield from ()
    reason = None
    try:
        state.home.renew()
    except TooMuch as error:
        reason = error.reason
    except OSError:
        reason = "helper_away"
    watch = state.home.descriptor
    return Answer({"reason": reason}, None if watch is None else os.dup(watch))


def look_for_changes(state: State, _fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """The changes since the last look, or `reason`. Unless `is_known`, the next look has nothing to compare with."""
    yield from ()
    answer: Fields = {"changes": None, "reason": None, "is_known": True}
    try:
        changes = [_as_reported(change) for change in state.home.look()]
        if len(changes) > MAX_CHANGES or len(json.dumps(changes)) > MAX_CHANGES_BYTES:
            answer["reason"] = "too_many_changes"
        else:
            answer["changes"] = changes
    except TooMuch as error:
        answer.update(reason=error.reason, is_known=False)
    except OSError:
        answer.update(reason="helper_away", is_known=False)
    return Answer({**answer, "is_watched": state.home.descriptor is not None})


def _as_reported(change: Change) -> Fields:
    """A change as in docs/internals/worker-protocol.md."""
    path, kind, file = change
    return {
        "path": os.fsencode(path).decode(errors="backslashreplace"),
        "change": kind,
        "size": file.size if file else None,
        "modified_at": file.mtime_ns // NS_PER_MS if file else None,
    }


def make_watcher(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Watch a folder from now on."""
    options = WatchOptions(
        path_field(fields), fields["recursive"], fields["entries"], fields["keep_ms"] / 1_000
    )
    watcher = Watcher(options, state.parts)
    watcher_id = yield from state.watchers.add(watcher)
    return Answer({"watcher": watcher_id})


def tell_events(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """The events since the last answer, each event once, as JSON in a file in memory."""
    watcher = state.watchers.get(fields["watcher"])
    yield from watcher.look()
    taken = watcher.take(MAX_TOLD_EVENTS)
    try:
        told = yield from _told(taken, watcher.options)
        rest = taken[len(told) :]
        has_more = json.dumps(bool(rest or watcher.events))
        answer = Answer.in_memory(f'{{"events": [{", ".join(told)}], "has_more": {has_more}}}')
    except BaseException:
        # Nobody has got these events, so they are kept: an operation failed, or the caller has gone away.
        watcher.give_back(taken)
        raise
    watcher.give_back(rest)
    return answer


def _told(events: list[Event], options: WatchOptions) -> Turns[list[str]]:
    """The first of these events, as JSON."""
    told: list[str] = []
    size = 0
    for kind, name in events:
        event: dict[str, Any] = {"event": kind, **named("name", name or ITSELF)}
        if options.has_entries:
            event["entry"] = _entry(options.path, name) if kind in WITH_ENTRY else None
            if len(told) % ENTRIES_PER_TURN == 0:
                yield None
        told.append(json.dumps(event))
        size += len(told[-1])
        if size >= MAX_TOLD_BYTES:
            break
    return told


def end_watcher(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Stop watching a folder."""
    yield from ()
    state.watchers.end(fields["watcher"])
    return Answer({})


def _entry(folder: bytes, name: bytes) -> Entry | None:
    """The entry that has this name by now; None if there is none."""
    path = folder.rstrip(b"/") + b"/" + name if name else folder
    try:
        place = place_of(path)
        try:
            return entry_at(path, *place)
        finally:
            os.close(place.folder)
    except (OSError, Refused):
        return None
