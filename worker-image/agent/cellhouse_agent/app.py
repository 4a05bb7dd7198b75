"""Wires the agent, and decides when and how it ends.

Time limits hold even without a gateway: `executions/supervision.py` enforces them.

Exit codes (worker-protocol.md): 0 after SIGTERM, 86 after too long without a gateway, 70 after a failure that
the log names, for example if no kernel starts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from functools import partial
from typing import Any, NamedTuple

from cellhouse_agent.commands.spawner import CommandMaker
from cellhouse_agent.config import SOCKET_PATH, Config, ConfigError, read_config
from cellhouse_agent.egress import egress_environment, open_egress
from cellhouse_agent.executions.executor import Executor, Factories
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.kernel.kernel import Kernel, KernelStartError
from cellhouse_agent.kernel.launcher import KernelLauncher, command_environment
from cellhouse_agent.log import log_event, take_library_logs
from cellhouse_agent.processes.tree import UnkillableProcesses
from cellhouse_agent.services import Services
from cellhouse_agent.usage.container import UsageUnavailable, find_usage
from cellhouse_kernel.forking import Forked

EXIT_OK = 0
EXIT_NO_KERNEL = 70
EXIT_ORPHANED = 86


class EarlyForks(NamedTuple):
    """The processes that were forked before the agent had any secret, thread or descriptor of its own."""

    helper: Forked
    spawner: Forked


def main(forks: EarlyForks) -> int:
    """Run until a signal, a missing gateway or a failure ends the agent; returns the exit code."""
    started = time.monotonic()
    take_library_logs()
    try:
        return asyncio.run(_run(read_config(os.environ), started, forks))
    except (ConfigError, KernelStartError, UsageUnavailable, UnkillableProcesses, OSError) as error:
        log_event("failed", error=type(error).__name__, reason=str(error))
        return EXIT_NO_KERNEL


async def _run(config: Config, started: float, forks: EarlyForks) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _resolve, ended, EXIT_OK)
    boot_id = uuid.uuid4().hex
    buffer = ReplayBuffer(config.replay_buffer_bytes)
    usage = find_usage()
    files = FilesHelper(forks.helper)
    home = HomeWatch(files)
    writer = FrameWriter(buffer, boot_id, config.max_message_bytes)
    gate = GatewayGate(loop.time)
    egress = open_egress(gate) if config.has_egress else None
    further = egress_environment(config.pip_index_url) if egress else None
    launcher = KernelLauncher(config.cpus, further)
    launcher.start()
    make_kernel = partial(Kernel, launcher, config.max_message_bytes)
    commands = CommandMaker(command_environment(config.cpus, further), forks.spawner)
    executor = Executor(buffer, writer, usage, home, Factories(make_kernel, commands.order))
    kernel = make_kernel(executor.on_message)
    services = Services(boot_id, executor, buffer, gate, usage, files, egress)
    work = asyncio.create_task(_work(kernel, executor, services, started))
    orphan_watch = asyncio.create_task(_watch_orphan(gate, config.orphan_timeout_ms, ended))
    waits: list[asyncio.Future[Any]] = [work, ended]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    orphan_watch.cancel()
    if work.done():
        work.result()
    work.cancel()
    await asyncio.wait([work])
    if egress:
        egress.close()
    await launcher.close()
    await commands.close()
    await home.close()
    await files.close()
    code = ended.result()
    log_event("ended", exit_code=code)
    return code


async def _work(kernel: Kernel, executor: Executor, services: Services, started: float) -> None:
    """Serve once the kernel is ready."""
    starting = asyncio.create_task(kernel.start())
    await asyncio.sleep(0)
    # Imported while the kernel starts in its own process.
    from cellhouse_agent.gateway.server import serve

    await starting
    stop = serve(SOCKET_PATH, services)
    log_event("ready", boot_id=services.boot_id, ms=round((time.monotonic() - started) * 1000))
    try:
        await executor.run(kernel)
    finally:
        stop()


async def _watch_orphan(gate: GatewayGate, timeout_ms: int, ended: asyncio.Future[int]) -> None:
    """End the agent once no gateway has been connected for `timeout_ms`."""
    timeout = timeout_ms / 1000
    while (alone := gate.alone_seconds()) < timeout:
        await asyncio.sleep(timeout - alone)
    log_event("orphaned", seconds=round(timeout))
    _resolve(ended, EXIT_ORPHANED)


def _resolve(ended: asyncio.Future[int], code: int) -> None:
    if not ended.done():
        ended.set_result(code)
