"""Executes the agent's other processes: fork servers, and kernels that are not forked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence


async def execute(
    command: Sequence[str], environment: Mapping[str, str], stdin: int, output: int
) -> asyncio.subprocess.Process:
    """Start a process in a session of its own, as root; raises OSError when none can be made.

    An exec keeps capabilities only as root. What is executed needs some to become the user that it should be, and that
    must be the first that it does.
    """
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        user=0,
        group=0,
        extra_groups=[],
        # Python looks for settings of some modules in the working directory: not where user code writes. (A kernel goes
        # to its own folder itself: the agent may not even enter it.)
        cwd="/",
        env=environment,
        start_new_session=True,
    )
