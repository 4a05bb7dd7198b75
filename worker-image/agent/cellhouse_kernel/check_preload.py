"""`python3 -m cellhouse_kernel.check_preload MODULE...`: can a fork server preload these modules?

The build of an environment runs it, as root in the image. Each module is imported in a process of its own, under the
conditions of a fork server: as the agent's user, with a kernel's environment variables, in no folder of the user, and
after the modules that every kernel finds. A fork copies neither threads nor open files well, so the module must leave
no thread, no open descriptor and no process behind. For each module that cannot be preloaded, the program prints a line
that begins with the module's name. Then it exits with 1.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_kernel.packages import find_packages, module_command
from cellhouse_kernel.preload import import_problem, preload

# The launcher replaces a fork server that has not imported everything in 60 seconds.
IMPORT_TIMEOUT_SECONDS = 30.0
# A thread that ends by itself when the import is done is no problem.
SETTLE_SECONDS = 1.0
POLL_SECONDS = 0.01
MAX_REPORT_BYTES = 4_096
# The report on a module that can be preloaded. Without any report, the process has ended too early.
NOTHING = "\n"


def main(modules: list[str]) -> int:
    """Check these modules; returns the exit code."""
    if sys.prefix == sys.base_prefix:
        _begin_anew(modules)
    os.chdir("/")
    become_user(AGENT_UID)
    find_packages()
    preload([])
    problems = [problem for name in modules if (problem := _check(name))]
    for problem in problems:
        print(problem, flush=True)
    return 1 if problems else 0


def _begin_anew(modules: list[str]) -> NoReturn:
    """Execute this program as a fork server is executed."""
    from cellhouse_agent.kernel.launcher import kernel_environment

    # With a single CPU, numerical libraries start no threads of their own, which would be reported here.
    command = module_command("cellhouse_kernel.check_preload", *modules)
    os.execve(command[0], command, kernel_environment(cpus=1))


def _check(name: str) -> str | None:
    """Import the module in a fork of this process. Returns a line about what is wrong with it; None if nothing is."""
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _run_forked(name, write)
    os.close(write)
    is_done = bool(select.select([read], [], [], IMPORT_TIMEOUT_SECONDS)[0])
    said = os.read(read, MAX_REPORT_BYTES).decode() if is_done else ""
    os.close(read)
    if not is_done:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    # Also kill what the module has started. Only a process that has left this group, such as a daemon, survives.
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not is_done:
        return f"{name} was not imported within {IMPORT_TIMEOUT_SECONDS:.0f} seconds"
    code = os.waitstatus_to_exitcode(status)
    if not said:
        return f"{name} ended the process ({code}) when it was imported"
    return None if said == NOTHING else said


def _run_forked(name: str, report: int) -> NoReturn:
    """Write into the report what is wrong with the module. Never return to the caller's code, whatever happens."""
    code = 1
    try:
        os.setsid()
        before = _descriptors()
        problem = import_problem(name) or _left_behind(name, before)
        os.write(report, (problem or NOTHING).encode("utf-8", "replace"))
        code = 0
    finally:
        os._exit(code)


def _left_behind(name: str, before: set[str]) -> str | None:
    """One line that says what the module has left behind; None if it has left nothing."""
    if threads := _threads_that_stay():
        return f"{name} left {_counted(len(threads), 'thread')} running: {', '.join(threads)}"
    if descriptors := sorted(_descriptors() - before):
        return (
            f"{name} left {_counted(len(descriptors), 'descriptor')} open: {', '.join(descriptors)}"
        )
    return f"{name} left a process running" if _has_child() else None


def _has_child() -> bool:
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
    return False


def _threads_that_stay() -> list[str]:
    """The names of the threads, other than this one, that still run after SETTLE_SECONDS.

    A thread that `threading` does not know has the name that Linux shows.
    """
    until = time.monotonic() + SETTLE_SECONDS
    while _threads() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return _threads()


def _threads() -> list[str]:
    own = {thread.native_id: thread.name for thread in threading.enumerate()}
    names = []
    for thread in sorted(int(entry) for entry in os.listdir("/proc/self/task")):
        if thread != os.getpid():
            # A thread that ends during the listing does not stay.
            with suppress(FileNotFoundError, ProcessLookupError):
                with open(f"/proc/self/task/{thread}/comm", encoding="utf-8") as comm:
                    names.append(own.get(thread, comm.read().strip()))
    return names


def _descriptors() -> set[str]:
    """The files that this process has open, each with its descriptor number."""
    return {
        f"{number} ({os.readlink(f'/proc/self/fd/{number}')})"
        for number in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{number}")
    }


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
