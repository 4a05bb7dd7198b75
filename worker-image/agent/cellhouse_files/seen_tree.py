"""All that was seen of the home, and how it changed since `record`. Nothing here looks at a disk."""

from __future__ import annotations

from collections.abc import Iterator

from cellhouse_files.budget import MAX_ENTRIES, Budget, TooMuch
from cellhouse_files.seen import Folder, Seen
from cellhouse_files.watches import Watches


class SeenTree:
    """The folders and files of the last look. Raises TooMuch when there are more than may count."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._before: dict[tuple[Folder, str], Seen | None] | None = None
        self.root = Folder(None, "", 0)
        # Files and folders that were seen.
        self.entries = 0

    def record(self) -> None:
        """Record what is changed from now on."""
        self._before = {}

    def recorded(self) -> Iterator[tuple[Folder, str, Seen | None]]:
        """What each changed file was before (None: nothing), by folder and name; ends the recording."""
        before, self._before = self._before or {}, None
        for (folder, name), was in before.items():
            yield folder, name, was

    def place_of(self, path: str) -> tuple[Folder, str]:
        """The folder and the name to look at for a path: its own, or those of the first unknown folder above it."""
        *above, name = path.split("/")
        folder = self.root
        for part in above:
            inner = folder.folders.get(part)
            if inner is None:
                return folder, part
            folder = inner
        return folder, name

    def add_folder(self, parent: Folder, name: str, inode: int) -> Folder:
        """Note that there is a folder of this name."""
        folder = parent.folders[name] = Folder(parent, name, inode)
        self._count(1)
        return folder

    def set_file(self, folder: Folder, name: str, seen: Seen | None) -> None:
        """Note what file has this name now; None: no file has it."""
        was = folder.files.get(name)
        if was == seen:
            return
        if self._before is not None:
            self._before.setdefault((folder, name), was)
        if seen is None:
            del folder.files[name]
            self._count(-1)
            return
        folder.files[name] = seen
        if was is None:
            self._count(1)

    def drop(self, parent: Folder, name: str, budget: Budget) -> None:
        """Forget the folder of this name, if one is known: it is gone, or was replaced by another one."""
        folder = parent.folders.pop(name, None)
        if folder is None:
            return
        self._count(-1)
        folder.is_attached = False
        self._watches.end(folder)
        for file in list(folder.files):
            budget.spend()
            self.set_file(folder, file, None)
        for inner in list(folder.folders):
            budget.spend()
            self.drop(folder, inner, budget)

    def forget(self, parent: Folder, name: str, budget: Budget) -> None:
        """Forget the file or folder of this name: nothing that counts has the name any more."""
        self.set_file(parent, name, None)
        self.drop(parent, name, budget)

    def _count(self, more: int) -> None:
        self.entries += more
        if self.entries > MAX_ENTRIES:
            raise TooMuch("too_many_entries")
