"""Which processes of a terminal's session get the signals that a keyboard or a window would send."""

from __future__ import annotations

from cellhouse_agent.process_table import stat_fields

# Of /proc/<pid>/stat, counted as in process_table.py.
GROUP_FIELD = 2
SESSION_FIELD = 3
FOREGROUND_FIELD = 5


def foreground_of(leader: int) -> int | None:
    """The group in the foreground; None if the leader has ended or, under gVisor, if the system does not tell."""
    try:
        group = int(stat_fields(str(leader))[FOREGROUND_FIELD])
    except OSError:
        return None
    return group if group > 0 else None


def beside_leader(leader: int, below: dict[int, int]) -> dict[int, int]:
    """The processes of `below` that are in the foreground group, unless the leader is in it, too.

    If the system does not report the foreground group, these are the processes of the session outside the leader's
    group.
    """
    foreground = foreground_of(leader)
    found = {}
    for pid, start in below.items():
        try:
            fields = stat_fields(str(pid))
        except OSError:
            continue
        group, session = int(fields[GROUP_FIELD]), int(fields[SESSION_FIELD])
        if session == leader != group and foreground in (None, group):
            found[pid] = start
    return found
