"""Finds which files of the home have changed since the last look, by their metadata.

inotify says which names to look at, so the cost of a look depends on how much has changed, not on the size of the home.
Without inotify, or when it has lost events, the whole home is compared (home_tree.py). Only regular files count. Links,
folders in which programs keep caches and settings, and the parts of files that the API is writing (writing.py) are left
out.

States: unknown --renew--> known --look--> known ... . After a look that exceeds a limit, the state is unknown.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterable
from typing import NamedTuple

from cellhouse_files.home_tree import FileState, Folder, HomeTree, ScanBudget, TooMuch
from cellhouse_files.inotify import IN_IGNORED, IN_Q_OVERFLOW, Inotify

# The most CPU time of a look. The end of an execution waits for it.
LOOK_CPU_MS = 5.0
# Only queued code waits for it.
RENEW_CPU_MS = 100.0
# An event has 32 bytes, or more with a long name, and creating a file makes three. If the queue has more than these 96
# bytes for each known entry, it costs less to look at everything.
EVENT_BYTES_PER_ENTRY = 96
# Enough for the events of a small home.
MIN_EVENT_BYTES = 16_384
# How much one list of changes holds. The gateway has the same limits (src/kernel/frames/parseFrame.ts).
MAX_CHANGES = 1_000
# As JSON.
MAX_CHANGES_BYTES = 65_536


class Change(NamedTuple):
    """A difference between two looks; `file` is None if the file is gone. The path is relative to the home."""

    path: str
    kind: str
    file: FileState | None


class HomeChanges:
    """Keeps the last look at one folder.

    Whenever it sets a watch, it changes the working folder of the process, and leaves it at / (home_tree.py).
    """

    def __init__(self, home: bytes, parts: Container[bytes] = (), has_inotify: bool = True) -> None:
        self._home = home
        self._parts = parts
        self._tree: HomeTree | None = None
        # Names to look at, by folder.
        self._dirty: defaultdict[Folder, set[str]] = defaultdict(set)
        self._has_lost_events = False
        self._may_watch = has_inotify
        self._inotify: Inotify | None = None

    @property
    def descriptor(self) -> int | None:
        """Readable as soon as there may be changes. None without inotify: then there may be changes at any time."""
        return self._inotify.descriptor if self._inotify else None

    def renew(self, cpu_ms: float = RENEW_CPU_MS) -> None:
        """Look at everything, so that the next look has something to compare with. Raises TooMuch or OSError."""
        self._forget()
        # A fresh instance of inotify has no watches of folders that are gone.
        self.close()
        self._begin_watching()
        tree = HomeTree(self._home, self._parts, self._inotify)
        try:
            tree.scan_all(ScanBudget(cpu_ms))
            self._tree = tree
        finally:
            self._check_watches(tree)

    def look(self, cpu_ms: float = LOOK_CPU_MS) -> list[Change]:
        """The changes since the last look, sorted by path. Raises TooMuch or OSError: then there is no last look."""
        tree = self._tree
        if tree is None:
            raise TooMuch("no_earlier_look")
        tree.index.record()
        try:
            budget = ScanBudget(cpu_ms)
            self._drain(tree, budget)
            if self._inotify is None or self._has_lost_events:
                self._dirty.clear()
                self._has_lost_events = False
                tree.scan_all(budget)
            while self._dirty:
                tree.scan_names(*self._dirty.popitem(), budget)
            return _differences(tree.index.recorded())
        except BaseException:
            self._forget()
            raise
        finally:
            self._check_watches(tree)

    def absorb(self, paths: Iterable[bytes], cpu_ms: float = RENEW_CPU_MS) -> None:
        """Note the entries at these paths (relative to the home), so that no look reports them: the API changed them.

        Other changes are still found by the next look. Never raises: if it takes too much, there is no last look.
        """
        tree = self._tree
        if tree is None:
            return
        try:
            budget = ScanBudget(cpu_ms)
            self._drain(tree, budget)
            touched: defaultdict[Folder, set[str]] = defaultdict(set)
            for path in paths:
                budget.spend()
                folder, name = tree.index.place_of(os.fsdecode(path))
                touched[folder].add(name)
            for folder, names in touched.items():
                tree.scan_names(folder, names, budget)
                self._dirty[folder] -= names
        except (TooMuch, OSError):
            self._forget()
        self._check_watches(tree)

    def close(self) -> None:
        """Stop watching, and forget the last look."""
        self._forget()
        if self._inotify:
            self._inotify.close()
            self._inotify = None

    def _begin_watching(self) -> None:
        if self._may_watch:
            try:
                self._inotify = Inotify()
            except OSError:
                # Linux limits the instances of inotify of a uid. All workers have the same uid, and other workers have
                # used up the limit. A look then compares everything.
                self._inotify = None

    def _forget(self) -> None:
        """Forget the last look. The watches stay, so that the descriptor still shows changes."""
        self._tree = None
        self._dirty.clear()
        self._has_lost_events = False

    def _check_watches(self, tree: HomeTree) -> None:
        """Do without inotify if a folder could not be watched."""
        if self._inotify and not tree.watches.are_complete:
            self._inotify.close()
            self._inotify = None
            self._dirty.clear()

    def _drain(self, tree: HomeTree, budget: ScanBudget) -> None:
        """Note which names the queued events are about."""
        if self._inotify is None:
            return
        if (
            self._inotify.queued_bytes()
            > MIN_EVENT_BYTES + EVENT_BYTES_PER_ENTRY * tree.index.entries
        ):
            self._inotify.discard()
            self._has_lost_events = True
            return
        for watch, mask, name in self._inotify.read_all():
            budget.spend()
            if mask & IN_Q_OVERFLOW:
                self._has_lost_events = True
            elif mask & IN_IGNORED:
                tree.watches.has_ended(watch)
            elif name and (folder := tree.watches.folder_of(watch)):
                self._dirty[folder].add(os.fsdecode(name))


def _differences(recorded: Iterable[tuple[Folder, str, FileState | None]]) -> list[Change]:
    """The differences from the record, as one change for each path.

    A path occurs twice in `recorded` if its folder was replaced by another of the same name.
    """
    before: dict[str, FileState | None] = {}
    now: dict[str, FileState | None] = {}
    for folder, name, was in recorded:
        path = folder.path(name)
        before[path] = before.get(path) or was
        now[path] = (folder.files.get(name) if folder.is_attached else None) or now.get(path)
    changes = []
    for path, was in sorted(before.items()):
        file = now[path]
        if was != file:
            kind = "deleted" if file is None else "created" if was is None else "modified"
            changes.append(Change(path, kind, file))
    return changes
