"""Watches a kernel whose fork server has died: init is its parent now, so nobody can learn its exit code."""

from __future__ import annotations

import asyncio
import os

from cellhouse_agent.kernel_process import KernelProcess, start_time

# How often to look where the system has no pidfd (gVisor). Each look reads one small file.
POLL_SECONDS = 0.05


async def watch_kernel(process: KernelProcess) -> None:
    """Wait until the process has ended, and report it."""
    born = process.start_time
    pidfd = _open_pidfd(process.pid)
    # Checked after the pidfd was opened: if the process is still the same, the pidfd refers to it.
    is_same = born is not None and start_time(process.pid) == born
    if pidfd is None:
        while is_same:
            await asyncio.sleep(POLL_SECONDS)
            is_same = start_time(process.pid) == born
    else:
        try:
            if is_same:
                await _readable(pidfd)
        finally:
            os.close(pidfd)
    process.set_exited(None)


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        # The system has none, or the process has ended.
        return None


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
