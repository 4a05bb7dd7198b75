"""Imports the modules that kernels use, before the first kernel: so a forked kernel has them, and shares their memory.

The image names the libraries that most code imports (LIBRARIES_FILE), and an environment may name further modules
(PRELOAD_FILE). All must follow the rules for KERNEL_MODULES. check_preload.py checks that when the environment is
built, but it cannot check whether a module reads what user code can write. So the modules of an environment are
imported only before there is any user code (fork_server.py).

A kernel that is executed, not forked, imports only the modules that it needs itself, and its code imports the rest.
Either way, ipykernel is imported within `prepare_imports`, and a kernel calls `prepare_environment` when it starts.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The modules of a kernel itself. A module must not be preloaded if it starts a thread or keeps a file open when it is
# imported, because a fork copies neither well. It must not be preloaded either if it reads from where user code can
# write, because it would do so with the fork server's privileges.
KERNEL_MODULES = (
    "cellhouse_kernel.app",
    "cellhouse_kernel.link",
    # ipykernel imports these only when a kernel starts.
    "IPython.core.completerlib",
    "faulthandler",
    "ipykernel.debugger",
)
# Lists of modules, one a line. User code cannot write them, because they belong to root. The first one comes with the
# image (worker-image/etc), and the build of an environment writes the second one.
LIBRARIES_FILE = Path("/usr/share/cellhouse/libraries.txt")
PRELOAD_FILE = Path("/usr/share/cellhouse/preload.txt")
# The longest report on one module that failed.
MAX_REASON_CHARACTERS = 200
IMAGE_MATPLOTLIB_DIR = Path("/usr/share/cellhouse/matplotlib")
# A debugger (20 MB, 0.1 s) and completion by analysis of code (5 MB, 0.03 s). Nobody uses them here. IPython's own
# completion stays.
UNUSED_MODULES = ("debugpy", "jedi")


def preload(further: Iterable[str]) -> list[str]:
    """Import the modules of every kernel, then `further`; arrange memory so that kernels share as much as possible.

    Returns a line for each of the `further` modules that failed. A kernel works without them: its code can import them.
    """
    # Imported objects stay. A collection of garbage, in between or at the end, would free 1 MB and take 0.15 s.
    gc.disable()
    with _private_matplotlib_folder():
        with prepare_imports():
            for name in (*KERNEL_MODULES, *modules_in(LIBRARIES_FILE)):
                importlib.import_module(name)
            importlib.import_module("cellhouse_kernel.warm_up").warm_up()
        problems = [problem for name in further if (problem := import_problem(name))]
    _forget_matplotlib_folder()
    # The garbage collector writes to the objects that it looks at, which ends the sharing of their memory. From now on,
    # it skips all objects that exist now, in every kernel.
    gc.freeze()
    gc.enable()
    ctypes.CDLL(None).malloc_trim(0)
    return problems


def further_modules() -> list[str]:
    """The modules that an environment names. Most images have no such file."""
    return modules_in(PRELOAD_FILE)


def modules_in(file: Path) -> list[str]:
    """The modules that this file names, none if there is no such file."""
    try:
        return file.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def import_problem(name: str) -> str | None:
    """Import a module. If that fails, returns one line that says what is wrong with the module."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return f"{name} cannot be imported: {said}"[:MAX_REASON_CHARACTERS]
    return None


@contextmanager
def _private_matplotlib_folder() -> Iterator[None]:
    """While matplotlib is imported, let it see only the settings and the font cache of the image.

    Settings can name code to run, and this process has privileges. Only the user's kernel reads the user's settings.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="matplotlib-", dir="/tmp"))
    except OSError:
        # The disk is full. Matplotlib cannot write to the image's folder, so it tries to make one of its own. If that
        # fails, too, matplotlib cannot be imported.
        os.environ["MPLCONFIGDIR"] = str(IMAGE_MATPLOTLIB_DIR)
        yield
    else:
        os.environ["MPLCONFIGDIR"] = str(folder)
        link_font_cache(folder)
        yield
        shutil.rmtree(folder)
    del os.environ["MPLCONFIGDIR"]


def _forget_matplotlib_folder() -> None:
    """Make matplotlib forget the folder that it found, so that each kernel looks for its own."""
    matplotlib: Any = sys.modules.get("matplotlib")
    if matplotlib is None:
        return
    for name in ("get_configdir", "get_cachedir"):
        find = getattr(matplotlib, name).__wrapped__
        setattr(matplotlib, name, functools.cache(find))


def prepare_environment() -> None:
    """Give matplotlib a writable folder that already holds the image's font cache.

    Matplotlib warns if it cannot write to its folder. With the image's font cache, the first figure needs no search for
    fonts. If no folder can be made in /tmp, the kernel starts even so, and matplotlib chooses a folder itself.
    """
    # IPython names each cell after a file in the temporary folder. Python would look for a folder that it can write to:
    # on a full disk there is none, and not even code that deletes files would run.
    tempfile.tempdir = "/tmp"
    try:
        folder = Path(tempfile.mkdtemp(prefix="matplotlib-"))
        link_font_cache(folder)
    except OSError:
        return
    os.environ["MPLCONFIGDIR"] = str(folder)


def link_font_cache(folder: Path) -> None:
    """Put the image's font cache into a folder for matplotlib. Raises OSError when there is no room."""
    for cache in IMAGE_MATPLOTLIB_DIR.glob("fontlist-*.json"):
        (folder / cache.name).symlink_to(cache)


@contextmanager
def prepare_imports() -> Iterator[None]:
    """Keep ipykernel and IPython from loading UNUSED_MODULES, each of which they can do without.

    A module that is None in `sys.modules` raises ImportError, which they take for "not installed". Afterwards user code
    can import it. A module that was imported before is put back.
    """
    hidden = {name: sys.modules[name] for name in UNUSED_MODULES if name in sys.modules}
    for name in UNUSED_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in UNUSED_MODULES:
            del sys.modules[name]
        sys.modules.update(hidden)
