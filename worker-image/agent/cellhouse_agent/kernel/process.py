"""One kernel process, however it was started: sends it signals, and knows when it has ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import NamedTuple

from cellhouse_agent.kernel.link import new_link
from cellhouse_agent.log import log_event
from cellhouse_agent.processes.children import TO_WRITE, open_to_user
from cellhouse_agent.processes.reaper import NoChild, Reaper
from cellhouse_agent.processes.table import (
    START_TIME_FIELD,
    STATE_FIELD,
    SYSTEM_TIME_FIELD,
    TICKS_PER_SECOND,
    USER_TIME_FIELD,
    send_signal,
    start_of,
    stat_fields,
    wants_cpu,
)
from cellhouse_agent.processes.user_processes import end_strays, kill_strays


class CpuUse(NamedTuple):
    """How much CPU time a process has used, and whether it wants more."""

    # All its threads together, in steps of 10 ms.
    used_seconds: float
    # One of its threads runs or waits for a CPU, at this moment.
    wants_cpu: bool


# A kernel that is ending closes its link first. A kernel that still runs this long after that has only lost its link.
EXIT_AFTER_LINK_SECONDS = 0.05
NO_CPU_USE = CpuUse(0.0, False)


class KernelProcess:
    """A started kernel. Its process id is also that of its session and process group; `link` leads to it."""

    def __init__(self, pid: int, link: socket.socket, output: OutputTail, reaper: Reaper) -> None:
        self.pid = pid
        self.link = link
        # The parent of the kernel's process, which reports the kernel's end.
        self.reaper = reaper
        self._start = start_of(pid)
        self._output = output
        self._task: asyncio.Task[int] | None = None
        # It closed its link, or became another program, and was killed for it.
        self.has_lost_link = False

    @property
    def has_exited(self) -> bool:
        """Whether it has ended."""
        return self.reaper.has_exited

    @property
    def is_running(self) -> bool:
        """Whether it runs now. `has_exited` may learn of the end later, on a busy machine much later."""
        if self.has_exited:
            return False
        try:
            fields = stat_fields(str(self.pid))
        except OSError:
            return False
        return fields[STATE_FIELD] not in "ZX" and int(fields[START_TIME_FIELD]) == self._start

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal. None while it runs, and when its reaper is lost."""
        return self.reaper.exit_code

    @property
    def output_tail(self) -> str:
        """The end of its output on the real stdout and stderr."""
        return self._output.text

    def cpu(self) -> CpuUse:
        """The CPU time that it has used, and whether it wants more."""
        try:
            fields = stat_fields(str(self.pid))
            ticks = int(fields[USER_TIME_FIELD]) + int(fields[SYSTEM_TIME_FIELD])
            return CpuUse(ticks / TICKS_PER_SECOND, wants_cpu(self.pid))
        except OSError:
            # It has ended; its reaper will report that.
            return NO_CPU_USE

    async def wait(self) -> int | None:
        """Wait for its end; see `exit_code`."""
        await self.reaper.wait_exited()
        return self.exit_code

    def keep(self, task: asyncio.Task[int]) -> None:
        """Refer to this task as long as this object lives, so that it is not collected."""
        self._task = task

    def interrupt(self) -> None:
        """Send SIGINT to the kernel and the children in its process group, as Jupyter does, even to stopped ones."""
        self.signal_group(signal.SIGINT)
        self.signal_group(signal.SIGCONT)

    def signal_group(self, number: int) -> None:
        """Send a signal to its process group, unless it has ended."""
        if not self.has_exited:
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                # It has just ended, which its reaper will report, or has not yet changed to the kernel's user.
                return

    def kill(self) -> None:
        """Send SIGKILL to this process only. `kill_tree` also kills the processes that it started."""
        if not self.has_exited and self._start is not None:
            send_signal(self.pid, self._start, signal.SIGKILL)

    def end_if_deaf(self) -> None:
        """The link has ended. If the process does not end, too, kill it soon: it can take no more requests."""
        asyncio.get_running_loop().call_later(EXIT_AFTER_LINK_SECONDS, self._kill_deaf)

    def _kill_deaf(self) -> None:
        if self.is_running:
            self.has_lost_link = True
            self.kill()

    def kill_tree(self) -> None:
        """Kill it and all that it started, now."""
        self.reaper.kill_tree()
        if self.reaper.is_lost:
            kill_strays(self.reaper.pid, self.reaper.start)

    async def end_tree(self) -> None:
        """End it and all that it started, and stop reading its output. Raises UnkillableProcesses."""
        await self.reaper.end_tree()
        if self.reaper.is_lost:
            log_event("reaper_lost")
            await end_strays(self.reaper.pid, self.reaper.start)
        self.close()

    def close(self) -> None:
        """Stop reading its output, and listening to its reaper. Call this after the process has ended."""
        self._output.close()
        self.reaper.close()


# A reaper makes its kernel within milliseconds, or within a tenth of a second if an interpreter must start first. While
# thirty workers start on two cores, it waits far longer for a CPU.
CHILD_TIMEOUT_SECONDS = 30.0


class KernelPipes:
    """The descriptors that a kernel and its reaper start with: its end of the link, a pipe, and the reaper's socket.

    It holds the agent's ends, too. Raises OSError when a descriptor cannot be made.

    A kernel begins when it has read a first packet, and ends if its link closes without one. So a kernel whose start
    failed half way never runs, and need not be found.
    """

    def __init__(self) -> None:
        self._link, self._their_link = new_link()
        self.kernel_stdin = self._their_link.fileno()
        self._control, self._their_control = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self.reaper_control = self._their_control.fileno()
        # The pipe is made last: if a step fails, the sockets close by themselves, but a pipe would not.
        self._output, self.kernel_output = os.pipe2(os.O_CLOEXEC)
        self._is_over = False
        open_to_user(self.kernel_output, TO_WRITE)

    async def begin(self, reaper_pid: int) -> KernelProcess:
        """Once the reaper has made the kernel, let it begin.

        Raises NoChild if the reaper does not make it.
        """
        # From now on only the reaper holds its end of the socket, so the agent learns when that is closed.
        self._their_control.close()
        reaper = Reaper(reaper_pid, self._control)
        try:
            async with asyncio.timeout(CHILD_TIMEOUT_SECONDS):
                pid = await reaper.child()
        except TimeoutError as error:
            reaper.close()
            raise NoChild(f"no child within {CHILD_TIMEOUT_SECONDS:.0f} s") from error
        except BaseException:
            reaper.close()
            raise
        # The send neither blocks nor fails: the socket is empty, and this process still holds its other end.
        self._link.send(b"begin")
        self._is_over = True
        self._close_their_ends()
        return KernelProcess(pid, self._link, OutputTail(self._output), reaper)

    def close(self) -> None:
        """Make sure that the kernel never begins. Does nothing if it has begun already."""
        if not self._is_over:
            self._is_over = True
            self._close_their_ends()
            self._control.close()
            self._link.close()
            os.close(self._output)

    def _close_their_ends(self) -> None:
        self._their_link.close()
        self._their_control.close()
        os.close(self.kernel_output)


# Enough to explain why a process ended.
TAIL_BYTES = 2_000
READ_BYTES = 65_536


class OutputTail:
    """Reads the output of a process on its real stdout and stderr, and keeps the end of the output.

    It owns the pipe, and reads until the pipe ends or `close` is called. A process never has the container's stdout and
    stderr. Otherwise the container's log would grow with the output of user code, and would block the process while
    the Docker engine is down.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._tail = b""
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    @property
    def text(self) -> str:
        """The end of the output that has been read so far."""
        return self._tail.decode(errors="replace").strip()

    def read_rest(self) -> None:
        """Read the rest of the output after the process has ended."""
        while not self._is_closed and self._read():
            pass

    def _read(self) -> bool:
        """Read one piece, so that a flood leaves the agent time for other things; true if there may be more."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return False
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not data:
            self.close()
        return bool(data)

    def close(self) -> None:
        """Stop reading. A process that still writes gets SIGPIPE or EPIPE."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
