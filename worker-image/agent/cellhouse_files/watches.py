"""Watches of folders, each with the folder that it tells of."""

from __future__ import annotations

import os

from cellhouse_files.inotify import Inotify
from cellhouse_files.seen import Folder

# Watches count per user on the whole host: by default, a user has 65,536 or more, and 128 instances of inotify.
MAX_WATCHES = 512


class Watches:
    """All watches of one look. Without inotify, nothing is watched."""

    def __init__(self, inotify: Inotify | None) -> None:
        self._inotify = inotify
        self._folders: dict[int, Folder] = {}
        # False once a folder could not be watched, because there are no more watches.
        self.are_complete = inotify is not None

    def folder_of(self, watch: int) -> Folder | None:
        """The folder of a watch, if it was not dropped meanwhile."""
        return self._folders.get(watch)

    def has_ended(self, watch: int) -> None:
        """The watch is gone with its folder. Another may have the folder's name, and even its inode."""
        folder = self._folders.pop(watch, None)
        if folder:
            folder.watch = None

    def begin(self, folder: Folder, fd: int) -> None:
        """Watch a folder before looking into it, so that nothing is missed."""
        if self._inotify is None or not self.are_complete:
            return
        if folder.watch is None and len(self._folders) >= MAX_WATCHES:
            self.are_complete = False
            return
        os.fchdir(fd)
        try:
            folder.watch = self._inotify.watch_working_folder()
        except OSError:
            self.are_complete = False
            return
        finally:
            # While a process has a folder as its working folder, the folder stays, and so does its watch.
            os.chdir("/")
        self._folders[folder.watch] = folder

    def end(self, folder: Folder) -> None:
        """Watch a folder no more."""
        if folder.watch is not None and self._folders.get(folder.watch) is folder:
            del self._folders[folder.watch]
            if self._inotify:
                self._inotify.unwatch(folder.watch)
