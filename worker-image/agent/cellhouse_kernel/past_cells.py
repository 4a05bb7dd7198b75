"""Answers requests for the history. It is not stored anywhere, so it has only the cells of this kernel."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

# If there are more, the newest are returned.
MAX_ENTRIES = 1_000

Entry = tuple[int, int, Any]


def past_cells(
    history: Any,
    hist_access_type: str,
    output: bool,
    raw: bool,
    start: int = 1,
    stop: int | None = None,
    n: int | None = None,
    pattern: str = "*",
    unique: bool = False,
    session: int = 0,
) -> list[Entry]:
    """The cells that a `history_request` asks for, the oldest first. `history` is IPython's HistoryManager.

    0 is the session of this kernel, and no other is known.
    """
    if session != 0:
        return []
    if hist_access_type == "range":
        cells = list(history._get_range_session(start, stop, raw, output))
    else:
        cells = list(history._get_range_session(1, None, raw, output))
    if hist_access_type == "search":
        cells = [cell for cell in cells if fnmatchcase(_source(cell, output), pattern)]
    if hist_access_type == "search" and unique:
        newest = {_source(cell, output): cell for cell in cells}
        cells = sorted(newest.values(), key=lambda cell: cell[1])
    count = min(MAX_ENTRIES, len(cells) if n is None or hist_access_type == "range" else max(0, n))
    return cells[len(cells) - min(count, len(cells)) :]


def _source(cell: Entry, output: bool) -> str:
    return str(cell[2][0] if output else cell[2])
