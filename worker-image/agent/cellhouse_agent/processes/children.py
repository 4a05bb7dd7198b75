"""The agent's other processes: executes them, keeps them running, takes their packets, and gives them pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

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
    """Keep a process running until this is cancelled. One that ends soon is replaced after a longer pause.

    `first` was forked already. For any other, `module` is executed, as root, with its socket to the agent as standard
    input.
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


async def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    stdin: int,
    output: int,
    others: Sequence[int] = (),
) -> asyncio.subprocess.Process:
    """Start a fork server, a kernel that is not forked, a helper or a spawner, in a session of its own, as root.

    Raises OSError when no process can be made.

    `others` are descriptors that it gets under the same numbers.

    The new process changes to its own user first. For that it needs capabilities, and only root keeps its capabilities
    across an exec.
    """
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        user=0,
        group=0,
        extra_groups=[],
        # Some Python modules read settings from the working directory, so user code must not be able to write there. A
        # kernel later changes to its own folder, which the agent may not even enter.
        cwd="/",
        env=environment,
        start_new_session=True,
        pass_fds=others,
    )


# Far more than the longest packet of a reaper or a fork server. A spawner sends none.
MAX_PACKET_BYTES = 4_096


def receive(control: socket.socket) -> bytes | None:
    """The next packet; None if none has arrived yet, b"" at the end of the connection.

    `control` is a socket to another process (SOCK_SEQPACKET) that does not block.
    """
    try:
        return control.recv(MAX_PACKET_BYTES)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""


# These modes are for every user, since the pipes belong to the agent's user.
TO_READ = 0o444
TO_WRITE = 0o222


def open_to_user(end: int, mode: int) -> None:
    """Let user code open its end of a pipe as /dev/stdin or /dev/stdout, in this direction only.

    gVisor cannot change the mode of a pipe: there user code can use only the descriptor.
    """
    with suppress(PermissionError):
        os.fchmod(end, mode)
