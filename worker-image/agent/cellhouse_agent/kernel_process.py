"""One kernel process, however it was started: sends it signals, and knows when it has ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine
from typing import Any, NamedTuple

from cellhouse_agent.output_tail import OutputTail

# Fields of /proc/<pid>/stat, counted from the one after the name, which may itself hold spaces and brackets.
STATE_FIELD = 0
USER_TIME_FIELD = 11
SYSTEM_TIME_FIELD = 12
START_TIME_FIELD = 19
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(process: str) -> list[str]:
    """The fields of a process or, as `<pid>/task/<tid>`, of a thread. Raises OSError when it is gone."""
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def start_time(pid: int) -> int | None:
    """When the process with this id started, in clock ticks since boot; None if no such process runs."""
    try:
        fields = _stat(str(pid))
    except OSError:
        return None
    return None if fields[STATE_FIELD] in "ZX" else int(fields[START_TIME_FIELD])


class CpuUse(NamedTuple):
    """How much CPU time a process has used, and whether it wants more."""

    # All its threads together, in steps of 10 ms.
    used_seconds: float
    # One of its threads runs or waits for a CPU, at this moment.
    wants_cpu: bool


NO_CPU_USE = CpuUse(0.0, False)


class KernelProcess:
    """A started kernel. Its process id is also that of its session and process group; `link` leads to it."""

    def __init__(self, pid: int, link: socket.socket, output: OutputTail) -> None:
        self.pid = pid
        self.link = link
        self.start_time = start_time(pid)
        self._output = output
        self._exit: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._watch: asyncio.Task[None] | None = None

    @property
    def has_exited(self) -> bool:
        """Whether it has ended."""
        return self._exit.done()

    @property
    def is_running(self) -> bool:
        """Whether it runs now. `has_exited` may learn of the end later, on a busy machine much later."""
        return not self.has_exited and start_time(self.pid) == self.start_time is not None

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal. None while it runs, and when nobody could learn it."""
        return self._exit.result() if self._exit.done() else None

    @property
    def output_tail(self) -> str:
        """The end of what it wrote to the real stdout and stderr."""
        return self._output.text

    def cpu(self) -> CpuUse:
        """What it has used, and whether it wants more."""
        try:
            fields = _stat(str(self.pid))
            ticks = int(fields[USER_TIME_FIELD]) + int(fields[SYSTEM_TIME_FIELD])
            return CpuUse(ticks / TICKS_PER_SECOND, self._wants_cpu())
        except OSError:
            # It has ended; its watcher will report that.
            return NO_CPU_USE

    def _wants_cpu(self) -> bool:
        """Look at all threads: one other than the main thread may hold the interpreter while it waits for a CPU."""
        threads = os.listdir(f"/proc/{self.pid}/task")
        return any(_stat(f"{self.pid}/task/{thread}")[STATE_FIELD] == "R" for thread in threads)

    def set_exited(self, code: int | None) -> None:
        """Called by its watcher: it has ended, and another process may get its id from now on."""
        if not self._exit.done():
            self._exit.set_result(code)

    def watch_with(self, watch: Coroutine[Any, Any, None]) -> None:
        """Run the watcher, which will call `set_exited`."""
        self._watch = asyncio.create_task(watch)

    async def wait(self) -> int | None:
        """Wait for its end; see `exit_code`."""
        return await asyncio.shield(self._exit)

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
                # It has just ended, which its watcher will report, or has not yet changed to the kernel's user.
                return

    def kill(self) -> None:
        """Send SIGKILL to the process itself. kill_user_processes ends what it started."""
        if not self.has_exited:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                # It has just ended.
                return

    def close(self) -> None:
        """Stop reading its output. Call this after the process has ended."""
        self._output.close()
