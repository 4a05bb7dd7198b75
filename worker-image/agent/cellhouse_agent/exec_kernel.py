"""The slow way to start a kernel: a process that imports everything itself. It needs no fork server."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping

from cellhouse_agent.execute import execute
from cellhouse_agent.kernel_pipes import KernelPipes
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.reaper import NoChild
from cellhouse_agent.wire import JsonObject
from cellhouse_kernel.identity import KERNEL_NICENESS, KERNEL_OOM_SCORE, KERNEL_UID

# It executes COMMAND below itself.
REAPER_COMMAND = ["/usr/bin/python3", "-I", "-m", "cellhouse_kernel.below_reaper"]
# It takes a tenth of a second on an idle machine.
REAPER_TIMEOUT_SECONDS = 30.0
COMMAND = [
    "/usr/bin/choom",
    f"--adjust={KERNEL_OOM_SCORE}",
    "--",
    "/usr/bin/nice",
    f"--adjustment={KERNEL_NICENESS}",
    "/usr/bin/setpriv",
    f"--reuid={KERNEL_UID}",
    f"--regid={KERNEL_UID}",
    "--clear-groups",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--bounding-set=-all",
    "--no-new-privs",
    "--",
    # Isolated: no file in the home can stand in for a module that the kernel needs to start.
    "/usr/bin/python3",
    "-I",
    "-m",
    "cellhouse_kernel",
]


async def exec_kernel(
    environment: Mapping[str, str], connection: JsonObject | None
) -> KernelProcess:
    """Start a kernel; it is ready only when it answers. Raises OSError when no process can be made."""
    pipes = KernelPipes()
    try:
        reaper = await execute(
            [*REAPER_COMMAND, str(pipes.reaper_control), *COMMAND],
            environment,
            pipes.kernel_stdin,
            pipes.kernel_output,
            [pipes.reaper_control],
        )
        async with asyncio.timeout(REAPER_TIMEOUT_SECONDS):
            process = await pipes.begin(reaper.pid, connection)
    except NoChild as error:
        raise OSError(errno.ECHILD, f"the reaper: {error}") from error
    finally:
        pipes.close()
    # Otherwise the event loop would end the reaper when nobody knows it any more.
    process.keep(asyncio.create_task(reaper.wait()))
    return process
