"""Says which files of the home have changed since it was asked last."""

from __future__ import annotations

import json
import os

from cellhouse_files.budget import TooMuch
from cellhouse_files.change_limits import MAX_CHANGES, MAX_CHANGES_BYTES
from cellhouse_files.changes import Change
from cellhouse_files.entries import NS_PER_MS
from cellhouse_files.server import Answer, Fields
from cellhouse_files.state import State
from cellhouse_files.turns import Turns


def renew_look(state: State, _fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """Look at everything. `reason` says why that failed. The descriptor, if there is one, tells of further changes."""
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
        changes = [told(change) for change in state.home.look()]
        if len(changes) > MAX_CHANGES or len(json.dumps(changes)) > MAX_CHANGES_BYTES:
            answer["reason"] = "too_many_changes"
        else:
            answer["changes"] = changes
    except TooMuch as error:
        answer.update(reason=error.reason, is_known=False)
    except OSError:
        answer.update(reason="helper_away", is_known=False)
    return Answer({**answer, "is_watched": state.home.descriptor is not None})


def told(change: Change) -> Fields:
    """A change as in docs/internals/worker-protocol.md."""
    path, kind, seen = change
    return {
        "path": os.fsencode(path).decode(errors="backslashreplace"),
        "change": kind,
        "size": seen.size if seen else None,
        "modified_at": seen.mtime_ns // NS_PER_MS if seen else None,
    }
