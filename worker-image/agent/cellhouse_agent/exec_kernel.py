"""The slow way to start a kernel: a process that imports everything itself. It needs no fork server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from cellhouse_agent.execute import execute
from cellhouse_agent.kernel_pipes import KernelPipes
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.wire import JsonObject
from cellhouse_kernel.identity import KERNEL_NICENESS, KERNEL_OOM_SCORE, KERNEL_UID

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
        child = await execute(COMMAND, environment, pipes.kernel_stdin, pipes.kernel_output)
    except OSError:
        pipes.abandon()
        raise
    process = KernelProcess(child.pid, *pipes.commit(connection))
    process.watch_with(_report_exit(child, process))
    return process


async def _report_exit(child: asyncio.subprocess.Process, process: KernelProcess) -> None:
    process.set_exited(await child.wait())
