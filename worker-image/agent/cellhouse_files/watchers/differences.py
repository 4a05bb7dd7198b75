"""Tells what has happened between two snapshots, in the words of inotify. Nothing here looks at a disk.

A file or folder that has another name now is a RENAME of the old name and a CREATE of the new one, as inotify has it.
A file is known by its inode, its time and its size, since a new file may get the inode of one that is gone. A folder is
known by its inode alone, since its time and its size change with what is in it. What is in a renamed folder has moved
with it, which is no event.
"""

from __future__ import annotations

from typing import NamedTuple

from cellhouse_files.watchers.snapshot import Node, Snapshot

CREATE, WRITE, REMOVE, RENAME, CHMOD = "create", "write", "remove", "rename", "chmod"


class Event(NamedTuple):
    """Something that has happened to the entry of this name, which is relative to the watched folder."""

    kind: str
    name: bytes


class _Moves:
    """Which entries have another name now."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._before = before
        # What is not at its place any more, and what has not been at its place before.
        self.left = {p: n for p, n in before.items() if not n.is_same_thing(after.get(p))}
        self.arrived = {p: n for p, n in after.items() if not n.is_same_thing(before.get(p))}
        self.origins: dict[bytes, bytes] = {}
        self.goals: dict[bytes, bytes] = {}
        # Those that have moved with a folder above them.
        self.implied: set[bytes] = set()
        self._find()

    def _find(self) -> None:
        by_identity: dict[tuple[int, ...], list[bytes]] = {}
        for path, node in sorted(self.left.items(), reverse=True):
            by_identity.setdefault(_identity(node), []).append(path)
        # A folder comes before what is in it.
        for path, node in sorted(self.arrived.items()):
            if self._has_moved_along(path, node):
                continue
            candidates = by_identity.get(_identity(node), [])
            while candidates:
                old = candidates.pop()
                if old not in self.goals:
                    self._note(old, path)
                    break

    def _has_moved_along(self, path: bytes, node: Node) -> bool:
        folder, _, name = path.rpartition(b"/")
        if folder not in self.origins:
            return False
        old = self.origins[folder] + b"/" + name
        if old in self.goals or not node.is_same_thing(self.left.get(old)):
            return False
        self._note(old, path)
        self.implied.add(path)
        return True

    def _note(self, old: bytes, new: bytes) -> None:
        self.origins[new] = old
        self.goals[old] = new


def differences(before: Snapshot, after: Snapshot) -> list[Event]:
    """The events that lead from one snapshot to the other.

    First what is gone, each entry before its folder. Then what is there, each folder before its entries.
    """
    moves = _Moves(before, after)
    return [*_departures(moves, after), *_presences(moves, before, after)]


def _departures(moves: _Moves, after: Snapshot) -> list[Event]:
    events = []
    for path, node in sorted(moves.left.items(), reverse=True):
        goal = moves.goals.get(path)
        if goal is not None:
            if goal not in moves.implied:
                events.append(Event(RENAME, path))
        elif path not in after or not _is_replaced(node, path, moves):
            events.append(Event(REMOVE, path))
    return events


def _is_replaced(node: Node, path: bytes, moves: _Moves) -> bool:
    """Whether another entry has taken its place at once. That is not a removal."""
    return path in moves.origins or (node.is_file and moves.arrived[path].is_file)


def _presences(moves: _Moves, before: Snapshot, after: Snapshot) -> list[Event]:
    events = []
    for path, node in sorted(after.items()):
        was = before.get(moves.origins.get(path, path))
        if path not in moves.arrived or path in moves.implied:
            events += _changes(path, was, node)
        elif path in moves.origins:
            events += [Event(CREATE, path), *_changes(path, was, node)]
        elif was and was.is_file and node.is_file and path not in moves.goals:
            # A program that writes a new file and gives it the name of the old one has written the file.
            events += [Event(WRITE, path), *_changes_of_mode(path, was, node)]
        else:
            events.append(Event(CREATE, path))
            if node.is_file and node.size > 0:
                events.append(Event(WRITE, path))
    return events


def _changes(path: bytes, was: Node | None, node: Node) -> list[Event]:
    """What has happened to an entry that was there before."""
    if was is None:
        return []
    is_written = node.is_file and (was.size, was.mtime_ns) != (node.size, node.mtime_ns)
    written = [Event(WRITE, path)] if is_written else []
    return [*written, *_changes_of_mode(path, was, node)]


def _changes_of_mode(path: bytes, was: Node, node: Node) -> list[Event]:
    is_changed = (was.mode, was.uid, was.gid) != (node.mode, node.uid, node.gid)
    return [Event(CHMOD, path)] if is_changed else []


def _identity(node: Node) -> tuple[int, ...]:
    """What stays the same when an entry gets another name."""
    if node.is_folder:
        return node.kind, node.device, node.inode
    return node.kind, node.device, node.inode, node.mtime_ns, node.size
