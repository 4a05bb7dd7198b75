"""Starts kernels: by a fork if possible, or else the slow way (`exec_kernel`).

States of the fork server:

    none -> importing           at start, and after a pause when it has ended
    importing -> ready          only the worker's first kernel waits for this; later ones start the slow way
    importing, ready -> none    it has ended; its kernels keep running
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from cellhouse_agent.kernel.process import KernelPipes, KernelProcess, OutputTail
from cellhouse_agent.log import log_event
from cellhouse_agent.processes.children import receive
from cellhouse_agent.processes.children import execute as execute_process
from cellhouse_agent.processes.reaper import NoChild
from cellhouse_kernel.packages import FIRST_FORK_SERVER, module_command, with_users_programs
from cellhouse_kernel.privileges import HOME

# A dead fork server is replaced after a pause, so that a kernel that must start at that moment has the CPUs first. Each
# time that a fork server ends before it is ready, the pause doubles, because more attempts would not help.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# Importing takes half a second on an idle machine. Thirty fork servers that start together on two cores take longer.
IMPORT_TIMEOUT_SECONDS = 60.0


class KernelLauncher:
    """Owns the fork server. `cpus` is the worker's limit of CPUs, and the number of threads of numerical libraries."""

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
    """The environment of all commands. A session or a command may add variables."""
    environment = kernel_environment(cpus, further)
    return {**environment, "PATH": with_users_programs(environment["PATH"])}


def kernel_environment(cpus: int, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that a kernel starts with.

    `further` has the variables of the egress proxy, if the session has egress (`egress.py`). The kernel itself adds
    MPLCONFIGDIR (`cellhouse_kernel/preload.py`), and the folder of the user's programs to PATH
    (`cellhouse_kernel/packages.py`). Variables of the session and of the execution are set on top
    (`cellhouse_kernel/surroundings.py`).
    """
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
        # would first output its whole JavaScript library, 8 MB.
        "PLOTLY_RENDERER": "plotly_mimetype+colab",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "NUMEXPR_NUM_THREADS": threads,
        "NUMEXPR_MAX_THREADS": threads,
        **(further or {}),
    }


FORK_SERVER_COMMAND = module_command("cellhouse_kernel.fork_server")
# A fork takes milliseconds, or a tenth of a second under gVisor. A fork server that is silent for this long is stuck,
# even on the busiest machine.
FORK_TIMEOUT_SECONDS = 5.0


class ForkFailed(Exception):
    """This attempt made no kernel, and cannot make one later."""


class Child(Protocol):
    """A fork server's process, like asyncio's."""

    @property
    def returncode(self) -> int | None:
        """The exit code, once it is known that it has ended."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""

    async def wait(self) -> int:
        """Wait for its end; returns the exit code."""


class Execute(Protocol):
    """Starts a fork server's process, as `execute` does."""

    async def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], stdin: int, output: int, /
    ) -> Child:
        """Raises OSError if no process can be made."""


class ForkServer:
    """The agent's side of one fork server (cellhouse_kernel/fork_server.py describes the protocol).

    States: importing -> ready -> ended. It ends by itself only when something is wrong; then it is replaced, not
    repaired. The kernels that it makes have reapers of their own, and outlive it.
    """

    def __init__(
        self,
        child: Child,
        control: socket.socket,
        output: OutputTail,
        on_ready: Callable[[], None],
    ) -> None:
        self._child = child
        self._control = control
        self._output = output
        self._loop = asyncio.get_running_loop()
        # The requests for reapers. The fork server answers them in order. A request that nobody waits for any more
        # stays here until it is answered, so that its answer is not taken for that of another request.
        self._orders: deque[asyncio.Future[int]] = deque()
        self._silence: asyncio.TimerHandle | None = None
        self._on_ready = on_ready
        self._loop.add_reader(control.fileno(), self._receive)

    @classmethod
    async def start(
        cls,
        execute: Execute,
        environment: Mapping[str, str],
        is_first: bool,
        on_ready: Callable[[], None],
    ) -> ForkServer:
        """Start one; `on_ready` is called when it has imported everything. Raises OSError if no process can be made.

        `is_first`: no code of the user has run yet, so it may import the modules of PRELOAD_FILE.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        output, their_output = os.pipe2(os.O_CLOEXEC)
        try:
            command = [*FORK_SERVER_COMMAND, FIRST_FORK_SERVER] if is_first else FORK_SERVER_COMMAND
            child = await execute(command, environment, theirs.fileno(), their_output)
        except OSError:
            control.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(their_output)
        return cls(child, control, OutputTail(output), on_ready)

    @property
    def output_tail(self) -> str:
        """The end of its output, which is empty unless something went wrong."""
        return self._output.text

    async def wait_ended(self) -> None:
        """Return when it has ended."""
        await self._child.wait()

    async def fork(self) -> KernelProcess:
        """Make a kernel. Raises ForkFailed; a kernel that is only half made then ends by itself."""
        pipes = KernelPipes()
        try:
            return await pipes.begin(await self._order(pipes))
        except NoChild as error:
            raise ForkFailed(f"the reaper: {error}") from error
        except OSError as error:
            # The fork server is of no more use, whatever went wrong.
            self.kill()
            raise ForkFailed(f"{type(error).__name__}: {error}") from error
        finally:
            pipes.close()

    def _order(self, pipes: KernelPipes) -> asyncio.Future[int]:
        """Ask for a reaper and its kernel; the result is the reaper's process id, or ForkFailed."""
        descriptors = [pipes.kernel_stdin, pipes.kernel_output, pipes.reaper_control]
        socket.send_fds(self._control, [b'{"fork": {}}'], descriptors)
        order: asyncio.Future[int] = self._loop.create_future()
        self._orders.append(order)
        if len(self._orders) == 1:
            self._await_answer()
        return order

    def _await_answer(self) -> None:
        """Restart the timeout for the next answer of the fork server. If no answer is due, there is no timeout."""
        if self._silence:
            self._silence.cancel()
        self._silence = None
        if self._orders:
            self._silence = self._loop.call_later(FORK_TIMEOUT_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._fail_all("the fork server is silent")
        self.kill()

    def kill(self) -> None:
        """End the fork server. Its kernels keep running."""
        if self._child.returncode is None:
            self._child.send_signal(signal.SIGKILL)

    async def close(self) -> int:
        """End the fork server and read its last packets; returns its exit code."""
        self.kill()
        code = await self._child.wait()
        while self._receive():
            pass
        self._output.read_rest()
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._output.close()
        self._fail_all("the fork server has ended")
        return code

    def _receive(self) -> bool:
        """Take one packet; true if there was one."""
        if self._control.fileno() < 0:
            return False
        packet = receive(self._control)
        if packet == b"":
            self._loop.remove_reader(self._control.fileno())
            self._fail_all("the fork server has hung up")
        if not packet:
            return False
        self._handle(json.loads(packet))
        return True

    def _handle(self, message: dict[str, dict[str, Any]]) -> None:
        for what, fields in message.items():
            if what == "ready":
                if fields["not_preloaded"]:
                    log_event("not_preloaded", reason=fields["not_preloaded"])
                self._on_ready()
            elif self._orders:
                order = self._orders.popleft()
                self._await_answer()
                if not order.done() and what == "forked":
                    order.set_result(fields["reaper"])
                elif not order.done():
                    order.set_exception(ForkFailed(os.strerror(fields["errno"])))

    def _fail_all(self, reason: str) -> None:
        while self._orders:
            order = self._orders.popleft()
            if not order.done():
                order.set_exception(ForkFailed(reason))
        self._await_answer()


async def exec_kernel(environment: Mapping[str, str]) -> KernelProcess:
    """Start a kernel the slow way: a process that imports everything itself. It needs no fork server.

    The kernel is ready only when it answers. Raises OSError when no process can be made.
    """
    pipes = KernelPipes()
    try:
        reaper = await execute_process(
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
