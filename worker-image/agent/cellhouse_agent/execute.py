"""Executes the agent's other processes: fork servers, and kernels that are not forked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence


async def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    stdin: int,
    output: int,
    others: Sequence[int] = (),
) -> asyncio.subprocess.Process:
    """Start a process in a session of its own, as root; raises OSError when none can be made.

    `others` are descriptors that it gets under the same numbers.

    The new process changes to its own user first. For that it needs capabilities, and only root keeps its capabilities
    across an exec.
    """
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        user=0,
        group=0,
        extra_groups=[],
        # Some Python modules read settings from the working directory, so user code must not be able to write there. A
        # kernel later changes to its own folder, which the agent may not even enter.
        cwd="/",
        env=environment,
        start_new_session=True,
        pass_fds=others,
    )
