"""Keeps one of the agent's other processes running. The first may have been forked already; any other is executed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable

from cellhouse_agent.execute import execute
from cellhouse_agent.log import log_event
from cellhouse_kernel.forking import Forked
from cellhouse_kernel.packages import module_command

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
REAP_POLL_SECONDS = 0.01

# Talks to one process until it ends.
type Serve = Callable[[socket.socket], Awaitable[None]]


async def keep_process(first: Forked | None, module: str, serve: Serve) -> None:
    """Run processes until this is cancelled. One that ends soon is replaced after a longer pause.

    `module` is executed, as root, with its socket to the agent as standard input.
    """
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE_SECONDS
    if first:
        await _run_forked(first, serve)
        await asyncio.sleep(pause)
    while True:
        started = loop.time()
        try:
            await _run_executed(module, serve)
        except OSError as error:
            log_event("no_process", module=module, reason=str(error.strerror))
        has_lived = loop.time() - started > LONGEST_PAUSE_SECONDS
        pause = FIRST_PAUSE_SECONDS if has_lived else min(2 * pause, LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(pause)


async def _run_forked(forked: Forked, serve: Serve) -> None:
    try:
        await serve(forked.control)
    finally:
        os.kill(forked.pid, signal.SIGKILL)
        while os.waitpid(forked.pid, os.WNOHANG)[0] == 0:
            await asyncio.sleep(REAP_POLL_SECONDS)


async def _run_executed(module: str, serve: Serve) -> None:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        child = await execute(module_command(module), ENVIRONMENT, theirs.fileno(), null)
    except OSError:
        control.close()
        raise
    finally:
        theirs.close()
        os.close(null)
    try:
        await serve(control)
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()
