"""The slow way to start a kernel: a process that imports everything itself. It needs no fork server."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping

from cellhouse_agent.execute import execute
from cellhouse_agent.kernel_pipes import KernelPipes
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.reaper import NoChild
from cellhouse_kernel.packages import module_command


async def exec_kernel(environment: Mapping[str, str]) -> KernelProcess:
    """Start a kernel; it is ready only when it answers. Raises OSError when no process can be made."""
    pipes = KernelPipes()
    try:
        reaper = await execute(
            module_command("cellhouse_kernel", str(pipes.reaper_control)),
            environment,
            pipes.kernel_stdin,
            pipes.kernel_output,
            [pipes.reaper_control],
        )
        process = await pipes.begin(reaper.pid)
    except NoChild as error:
        raise OSError(errno.ECHILD, f"the reaper: {error}") from error
    finally:
        pipes.close()
    # asyncio kills a child process when nothing refers to it any more, so this task keeps the reaper alive.
    process.keep(asyncio.create_task(reaper.wait()))
    return process
