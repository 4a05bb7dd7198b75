"""What must be true of the process before ipykernel is imported, and no longer matters afterwards."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE_MATPLOTLIB_DIR = Path("/usr/share/cellhouse/matplotlib")
# A debugger (20 MB, 0.1 s) and completion by analysis of code (5 MB, 0.03 s). Nobody uses them here. IPython's own
# completion stays.
UNUSED_MODULES = ("debugpy", "jedi")


def prepare_environment() -> None:
    """Give matplotlib a writable folder that already holds the image's font cache.

    Matplotlib wants its folder writable and warns otherwise; with the cache of the image in it, the first figure needs
    no search for fonts. A full or hostile /tmp must not keep a kernel from starting: then matplotlib makes its own.
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

    A module that is None in `sys.modules` raises ImportError, which they take for "not installed". User code can import
    it afterwards. A module that is imported already comes back.
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
