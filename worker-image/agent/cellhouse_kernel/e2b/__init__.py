"""The formats that a kernel in a sandbox of E2B shows in addition: charts, tables, JSON and pictures.

A session with the variable SANDBOX_VARIABLE is a sandbox. A session's variables come over the link once for each
kernel, before the session's first code. In any other session, a kernel only looks for the variable then, and its cells
cost nothing more.
"""

from __future__ import annotations

from typing import Any

SANDBOX_VARIABLE = "E2B_SANDBOX"


def show_more(variables: dict[str, str], shell: Any) -> None:
    """If these are the variables of a sandbox, have the shell show the formats for E2B's clients from now on."""
    if variables.get(SANDBOX_VARIABLE) != "true":
        return
    from cellhouse_kernel.e2b.formatters import add_formatters, display_images

    if add_formatters(shell.display_formatter):
        display_images()
