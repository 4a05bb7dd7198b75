"""Starts kernels: by a fork if possible, or else the slow way (exec_kernel.py).

States of the fork server:

    none -> importing           at start, and after a pause when it has ended
    importing -> ready          only the worker's first kernel waits for this; later ones start the slow way
    importing, ready -> none    it has ended; its kernels keep running
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from cellhouse_agent.exec_kernel import exec_kernel
from cellhouse_agent.execute import execute as execute_process
from cellhouse_agent.fork_server import Execute, ForkFailed, ForkServer
from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.log import log_event
from cellhouse_kernel.packages import with_users_programs
from cellhouse_kernel.privileges import HOME

# A dead fork server is replaced after a pause, so that a kernel that must start at that moment has the CPUs first. Each
# time that a fork server ends before it is ready, the pause doubles, because more attempts would not help.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# Importing takes half a second on an idle machine. Thirty fork servers that start together on two cores take longer.
IMPORT_TIMEOUT_SECONDS = 60.0


class KernelLauncher:
    """Owns the fork server. `cpus` is the worker's limit of CPUs, and the number of threads of a numerical library."""

    def __init__(
        self,
        cpus: int,
        further: Mapping[str, str] | None = None,
        execute: Execute = execute_process,
    ) -> None:
        """Kernels have the environment variables `further` in addition. `execute` starts fork servers."""
        # The limit may exceed the CPUs of the machine.
        self.cpus = min(cpus, len(os.sched_getaffinity(0)))
        self._environment = kernel_environment(cpus, further)
        self._execute = execute
        self._server: ForkServer | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._is_ready = asyncio.Event()
        # Set when the first fork server is ready, or has failed.
        self._is_decided = asyncio.Event()

    def start(self) -> None:
        """Start the fork server, and replace it when it ends."""
        if self._upkeep is None:
            self._upkeep = asyncio.create_task(self._keep_server())

    async def wait_ready(self) -> None:
        """Return when the fork server is ready."""
        await self._is_ready.wait()

    async def launch(self) -> KernelProcess:
        """Start a kernel; it is ready only when it answers.

        Raises OSError when no process can be made.
        """
        await self._is_decided.wait()
        if self._server and self._is_ready.is_set():
            try:
                return await self._server.fork()
            except ForkFailed as error:
                log_event("fork_failed", reason=str(error))
        return await exec_kernel(self._environment)

    async def close(self) -> None:
        """End the fork server. Its kernels keep running."""
        if self._upkeep:
            self._upkeep.cancel()
            await asyncio.wait([self._upkeep])

    async def _keep_server(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                was_ready = await self._run_server()
            except OSError as error:
                was_ready = False
                log_event("no_fork_server", reason=str(error.strerror))
            self._is_decided.set()
            pause = FIRST_PAUSE_SECONDS if was_ready else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_server(self) -> bool:
        """Run one fork server until it ends; returns whether it became ready."""
        # Until the first fork server is ready or has failed, there is no kernel, and so no user code.
        is_first = not self._is_decided.is_set()
        server = await ForkServer.start(self._execute, self._environment, is_first, self._set_ready)
        self._server = server
        too_late = asyncio.get_running_loop().call_later(IMPORT_TIMEOUT_SECONDS, self._give_up)
        try:
            await server.wait_ended()
        finally:
            too_late.cancel()
            code = await server.close()
            self._server = None
            was_ready = self._is_ready.is_set()
            self._is_ready.clear()
        log_event("fork_server_ended", exit_code=code, reason=server.output_tail)
        return was_ready

    def _set_ready(self) -> None:
        self._is_ready.set()
        self._is_decided.set()

    def _give_up(self) -> None:
        if self._server and not self._is_ready.is_set():
            self._server.kill()


def command_environment(cpus: int, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of commands, before their own variables: the one that code in a kernel finds."""
    environment = kernel_environment(cpus, further)
    return {**environment, "PATH": with_users_programs(environment["PATH"])}


def kernel_environment(cpus: int, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment that a kernel starts with."""
    threads = str(cpus)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": HOME,
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        # A chart is shown as data, and as a page that opens in any browser that reaches cdn.plot.ly. By default, plotly
        # would print its own 8 MB first.
        "PLOTLY_RENDERER": "plotly_mimetype+colab",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "NUMEXPR_NUM_THREADS": threads,
        "NUMEXPR_MAX_THREADS": threads,
        **(further or {}),
    }
