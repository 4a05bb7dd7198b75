"""Watches a kernel whose fork server has died: init is its parent now, so nobody can tell its exit code."""

from __future__ import annotations

import asyncio
import os

from cellhouse_agent.kernel_process import KernelProcess, start_time

# Where the system has no pidfd (gVisor): a dead kernel is noticed so late, for the price of reading one small file.
POLL_SECONDS = 0.05


async def watch_orphan(process: KernelProcess) -> None:
    """Say when the process has ended."""
    born = process.start_time
    pidfd = _open_pidfd(process.pid)
    # Looked at after the pidfd was opened: if it is the same process now, the pidfd is of it.
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
