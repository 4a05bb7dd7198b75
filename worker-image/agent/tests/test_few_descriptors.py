"""An agent that has few descriptors left leaks none, and no command waits for ever: run as root."""

import asyncio
import gc
import os
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from cellhouse_agent.commands.commands import MAX_COMMANDS
from cellhouse_agent.commands.terminal import Terminal
from cellhouse_agent.executions.contexts import MAX_CONTEXTS
from cellhouse_agent.executions.inputs import InputBuffer
from cellhouse_agent.gateway.requests import CommandOptions, TerminalSize
from cellhouse_agent.usage.meter import ListedBirths
from cellhouse_commands.command import TERMINAL_PACKET

from tests.with_commands import WithCommands, command
from tests.with_executor import PATIENCE_SECONDS
from tests.with_kernels import WithKernels
from tests.with_processes import wait_until_idle

TERMINAL = CommandOptions({}, None, True, TerminalSize(80, 24))
# src/runtime/docker/containerSpec.ts
MAX_OPEN_FILES = 1_024
# A kernel's link, output, reaper and meter.
DESCRIPTORS_OF_A_KERNEL = 6
# The agent's other processes, connections of gateways, and files.
ALL_ELSE = 128


def open_descriptors() -> list[int]:
    """The descriptors of this process, without those that Python closes when it collects garbage."""
    gc.collect()
    with os.scandir("/proc/self/fd") as entries:
        found = [int(entry.name) for entry in entries]
    # One was open only for the listing.
    return [each for each in found if os.path.exists(f"/proc/self/fd/{each}")]


async def settled() -> int:
    """The number of open descriptors once it stays the same. After a command, a process is made for the next one."""
    seen = -1
    while seen != (now := len(open_descriptors())):
        seen = now
        await asyncio.sleep(0.3)
    return now


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """Let this process open `count` more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = open_descriptors()
    free = (number for number in range(hard) if number not in taken)
    last = max([-1, *(next(free) for _ in range(count))])
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class FewForCommands(WithCommands):
    """Commands with terminals, each of which takes five to eight descriptors."""

    async def test_a_command_with_a_terminal_begins_or_ends(self) -> None:
        await self.output("first", "echo")
        before = await settled()
        ends = set()
        for room in range(1, 12):
            name = f"room for {room}"
            with room_for(room):
                request = command(name, "echo on; read line", found=TERMINAL)
                self.executor.submit(request)
                await self.begun_or_ended(name)
            self.executor.interrupt(name)
            report = await self.report(name)
            ends.add(report["ename"] or report["signal"])
        self.assertEqual({"CommandNotStarted", "SIGINT"}, ends)
        self.assertEqual(await settled(), before)

    async def test_a_command_whose_terminal_cannot_be_received_never_begins(self) -> None:
        await self.output("first", "echo")
        begin = Terminal.begin
        ends = []
        for room in range(5):

            def take_late(terminal: Terminal, room: int = room) -> None:
                # If the process did not wait for its terminal, it would have begun by now, and would end by SIGHUP.
                wait_until_idle()
                begin(terminal)
                with room_for(room):
                    terminal.read_rest()

            name = f"room for {room}"
            with mock.patch.object(Terminal, "begin", take_late):
                code = "echo ran > /tmp/ran; echo on; read line"
                self.executor.submit(command(name, code, found=TERMINAL))
                await self.begun_or_ended(name)
            self.executor.interrupt(name)
            report = await self.report(name)
            has_run = os.path.exists("/tmp/ran")
            if has_run:
                os.remove("/tmp/ran")
            ends.append((report["ename"] or report["signal"], report["evalue"], has_run))
        # The agent needs three: both ends, and a duplicate of its own end to read from.
        reason = "It could not open a terminal: Too many open files"
        self.assertEqual(ends[:3], [("CommandNotStarted", reason, False)] * 3)
        self.assertEqual(ends[3:], [("SIGINT", None, True)] * 2)

    async def test_a_terminal_that_cannot_be_received_is_hung_up(self) -> None:
        found = []
        for room in range(4):
            master, slave = os.openpty()
            terminal = Terminal(lambda *_: None, InputBuffer())
            with socket.socket(fileno=os.dup(terminal.given[0])) as process:
                socket.send_fds(process, [TERMINAL_PACKET], [master, slave])
                os.close(master)
                terminal.begin()
                with room_for(room):
                    terminal.read_rest()
                poll = select.poll()
                poll.register(slave, 0)
                found.append((bool(poll.poll(0)), process.recv(len(TERMINAL_PACKET))))
            terminal.close()
            os.close(slave)
        # The agent needs three: both ends, and a duplicate of its own end to read from.
        self.assertEqual(found, [(True, b"")] * 3 + [(False, TERMINAL_PACKET)])

    async def begun_or_ended(self, msg_id: str) -> None:
        """Wait until a command has written something, or has ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(
                frame["header"]["msg_type"] in ("stream", "execute_reply")
                for frame in self.frames(msg_id)
            ):
                await asyncio.sleep(0.01)

    async def test_the_most_commands_and_kernels_leave_enough_for_all_else(self) -> None:
        await self.output("first", "echo")
        before = await settled()
        names = [str(number) for number in range(MAX_COMMANDS)]
        for name in names:
            self.executor.submit(command(name, "echo on; read line", found=TERMINAL))
        for name in names:
            await self.wrote(name, b"on")
        # The commands' meters begin some milliseconds later.
        await asyncio.sleep(0.1)
        taken = len(open_descriptors()) - before
        kernels = (MAX_CONTEXTS + 1) * DESCRIPTORS_OF_A_KERNEL
        self.assertLess(taken + kernels + ALL_ELSE, MAX_OPEN_FILES)
        for name in names:
            self.executor.interrupt(name)
        for name in names:
            self.assertEqual((await self.report(name))["outcome"], "interrupted")
        self.assertEqual(await settled(), before)


class FewForKernels(WithKernels):
    """Kernels and their meters."""

    async def test_a_kernel_that_cannot_be_made_leaves_no_descriptor_open(self) -> None:
        kernel = await self.kernel()
        before = len(open_descriptors())
        failures = 0
        for room in range(1, 8):
            try:
                with room_for(room):
                    process = await self.launcher.launch()
            except OSError:
                failures += 1
            else:
                process.kill()
                await process.wait()
                await process.reaper.end_tree()
                process.close()
                process.link.close()
            self.assertEqual(len(open_descriptors()), before, room)
        self.assertIn(failures, range(1, 7))
        self.assertEqual(await kernel.ask("print(1)"), 1)

    async def test_a_meter_that_cannot_be_made_leaves_no_descriptor_open(self) -> None:
        before = len(open_descriptors())
        with self.assertRaises(OSError), room_for(1):
            ListedBirths(os.getpid(), os.getpid())
        self.assertEqual(len(open_descriptors()), before)
