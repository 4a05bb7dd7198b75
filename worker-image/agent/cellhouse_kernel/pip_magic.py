"""`%pip`, with the image's pip (cellhouse_pip). What it installs can be imported at once."""

from __future__ import annotations

import os
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class

from cellhouse_kernel.packages import PYTHON, USERS_PACKAGES

COMMAND = f"{PYTHON} -P -m cellhouse_pip"


@magics_class
class PipMagic(Magics):
    """Takes the place of IPython's, which advises to restart the kernel after every command."""

    @line_magic  # type: ignore[misc]
    def pip(self, line: str) -> None:
        """Run pip: `%pip install NAME`."""
        before = _installed()
        shell: Any = self.shell
        shell.system(f"{COMMAND} {line}")
        if before - _installed():
            print("Note: you may need to restart the kernel to use updated packages.")


def _installed() -> set[str]:
    """The names of the folders that describe the versions that the user has installed."""
    try:
        return {name for name in os.listdir(USERS_PACKAGES) if name.endswith(".dist-info")}
    except OSError:
        # There is no such folder yet.
        return set()
