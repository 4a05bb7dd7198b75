"""The surroundings of code: its environment variables and the folder that it is in.

A session has variables, and a context has a folder: the kernel sets both at its start. One execution may ask for
others: the kernel sets them before the code, and restores the former ones after it. The kernel's functions that do this
are not on the stack of the code, so no traceback shows them.

The process has only one environment and one folder. So while the execution runs, threads and tasks of earlier code see
its variables and its folder, too.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any, NamedTuple

from cellhouse_kernel.privileges import HOME

# Taken before any user code runs, which may replace them.
_open, _close, _fstat, _chdir, _fchdir = os.open, os.close, os.fstat, os.chdir, os.fchdir
_put, _unset, _tzset = os.putenv, os.unsetenv, time.tzset


def set_variables(variables: dict[str, str]) -> None:
    """Change the environment of this process for good. Called between cells; no reply is sent."""
    os.environ.update(variables)
    if "TZ" in variables:
        _tzset()


def enter_directory(path: str) -> None:
    """Let code begin in this folder. If the folder is gone, code begins where the kernel is: in the home."""
    with suppress(OSError, ValueError):
        _chdir(path)


class CellNotStarted(Exception):
    """The code has not run, and never will. The message says why."""


class Folder(NamedTuple):
    """An open folder, and its identity: code may have opened another file under the same descriptor number."""

    descriptor: int
    device: int
    inode: int


class Surroundings:
    """The surroundings of one execution, from its request on. `put_on` and `take_off` are called once each."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted: dict[str, str] = wanted["environment"]
        self._directory: str | None = wanted["working_directory"]
        # Earlier code may have replaced `os.environ`. The code of this execution reads the replacement.
        self._environment: Any = os.environ
        self._before: dict[str, str | None] = {}
        self._folder: Folder | None = None
        # Whether the process may be in another folder than before. Without a `_folder`, it then goes to the home.
        self._may_have_moved = False

    def put_on(self) -> None:
        """Enter the folder and set the variables; raises CellNotStarted.

        An interrupt may end this anywhere: `take_off` undoes the steps that were done by then.
        """
        if self._directory is not None:
            self._folder = _here()
            self._may_have_moved = True
            try:
                _chdir(self._directory)
            except (OSError, ValueError) as error:
                self._may_have_moved = False
                why = getattr(error, "strerror", None) or error
                raise CellNotStarted(f"It could not enter the folder: {why}") from None
        try:
            for name, value in self._wanted.items():
                self._before[name] = self._environment.get(name)
                self._environment[name] = value
            self._tell_zone()
        except Exception as error:
            # Only the type: the text of the error may contain the value of a variable.
            what = f"It could not set the environment variables: {type(error).__name__}"
            raise CellNotStarted(what) from None

    def take_off(self) -> None:
        """Restore the variables and the folder, whatever the code has done to them."""
        for name, value in self._before.items():
            self._give_back(name, value)
        with suppress(Exception):
            self._tell_zone()
        if self._folder or self._may_have_moved:
            _go_back(self._folder)

    def _give_back(self, name: str, value: str | None) -> None:
        try:
            if value is None:
                self._environment.pop(name, None)
            else:
                self._environment[name] = value
        except BaseException:
            # Code has broken its replacement of `os.environ`. Programs that it starts still get the real environment.
            with suppress(Exception):
                _unset(name) if value is None else _put(name, value)

    def _tell_zone(self) -> None:
        if "TZ" in self._wanted:
            _tzset()


def _here() -> Folder | None:
    """The folder that the process is in, even if it was deleted. None if it may not be entered again.

    Raises CellNotStarted, for example if the code has too many files open.
    """
    try:
        descriptor = _open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = _fstat(descriptor)
    except PermissionError:
        return None
    except OSError as error:
        why = f"The kernel could not open the folder that it is in: {error.strerror}"
        raise CellNotStarted(why) from None
    return Folder(descriptor, found.st_dev, found.st_ino)


def _go_back(folder: Folder | None) -> None:
    """Enter the folder; if that is impossible, the home."""
    try:
        if folder is None or _identity(folder.descriptor) != folder[1:]:
            raise FileNotFoundError
        try:
            _fchdir(folder.descriptor)
        finally:
            _close(folder.descriptor)
    except OSError:
        enter_directory(HOME)


def _identity(descriptor: int) -> tuple[int, int]:
    found = _fstat(descriptor)
    return found.st_dev, found.st_ino
