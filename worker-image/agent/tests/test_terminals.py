"""Terminals of commands: what a program finds, and how it gets keys and the size of the window."""

import asyncio
import hashlib
import os
import re
import signal
from collections.abc import Callable
from unittest import mock

from cellhouse_agent.commands import commands
from cellhouse_agent.gateway.requests import CommandOptions, TerminalSize

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_commands import WithCommands, command
from tests.with_executor import SHORT_GRACE_MS
from tests.with_input import Sender
from tests.with_processes import wait_until_idle

SIZE = TerminalSize(77, 33)
# Reads its signals from a pipe. So it misses no signal that comes just before it waits, and no signal interrupts the
# printing of a line.
SIGNALLED = """
import os, signal
reading, writing = os.pipe()
os.set_blocking(writing, False)
signal.set_wakeup_fd(writing)
for number in (signal.SIGINT, signal.SIGCONT, signal.SIGWINCH): signal.signal(number, lambda *_: None)
print("leads" if os.getpgid(0) == os.getsid(0) else "job", flush=True)
"""
# Prints each new size of its terminal, and ends at an interrupt. Runs as the command itself, or as a job of a shell.
IN_FOREGROUND = (
    SIGNALLED
    + """
while (number := os.read(reading, 1)[0]) != signal.SIGINT:
    if number == signal.SIGWINCH: print("size", *os.get_terminal_size(), flush=True)
print("interrupted", flush=True)
"""
)
# Counts interrupts until it has also had SIGCONT, which the agent sends last.
COUNTING = (
    SIGNALLED
    + """
had = b""
while not {signal.SIGINT, signal.SIGCONT} <= {*had}: had += os.read(reading, 99)
print("interrupted", had.count(signal.SIGINT))
"""
)
ESCAPES = b"\x1b[31mred\x1b[0m\x07\x1b]0;title\x07"


class Terminals(WithCommands):
    """A command with a terminal."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.sender = Sender(self.executor)

    async def begin(self, msg_id: str, code: str, **limits: int) -> None:
        """Begin a command with a terminal."""
        found = CommandOptions({}, None, True, SIZE)
        self.executor.submit(command(msg_id, code, found=found, **limits))

    async def shown(self, msg_id: str, code: str) -> list[str]:
        """The lines that a command with a terminal writes. It must end by itself."""
        await self.begin(msg_id, code)
        report = await self.report(msg_id)
        self.assertEqual((report["outcome"], report["exit_code"]), ("finished", 0), report)
        return self.written(msg_id).decode().replace("\r\n", "\n").splitlines()

    async def test_a_program_finds_a_terminal_of_the_given_size(self) -> None:
        tests = "for n in 0 1 2; do test -t $n && echo is $n; done; stty size; echo $TERM"
        owner = "stat -c %U $(tty); ls /proc/self/fd | wc -w"
        lines = await self.shown("1", f"{tests}; {owner}")
        self.assertEqual(lines[:5], ["is 0", "is 1", "is 2", "33 77", "xterm-256color"])
        # The fourth descriptor is open only for the listing.
        self.assertEqual(lines[5:], ["user", "4"])
        self.assertRegex((await self.shown("2", "tty"))[0], "^/dev/pts/[0-9]+$")
        self.assertEqual(self.written("1", "stderr"), b"")

    async def test_a_variable_of_the_session_can_replace_term(self) -> None:
        self.executor.set_variables({"TERM": "vt100"})
        self.assertEqual(await self.shown("1", "echo $TERM"), ["vt100"])

    async def test_escape_sequences_are_text(self) -> None:
        await self.begin("1", f"printf '{ESCAPES.decode()}'; echo err >&2")
        await self.report("1")
        self.assertEqual(self.written("1"), ESCAPES + b"err\r\n")
        names = {frame["content"].get("name") for frame in self.frames("1")} - {None}
        self.assertEqual(names, {"stdout"})

    async def test_input_is_what_a_keyboard_sends(self) -> None:
        await self.begin("1", "stty -echo; echo on; read line; echo got $line; cat; echo end")
        await self.wrote("1", b"on")
        await self.sender.send("1", b"one\n")
        await self.wrote("1", b"got one")
        await self.sender.send("1", b"two\n\x04")
        self.assertEqual((await self.report("1"))["exit_code"], 0)
        self.assertEqual(self.written("1"), b"on\r\ngot one\r\ntwo\r\nend\r\n")

    async def test_closing_the_input_ends_the_reading(self) -> None:
        for msg_id, text in (("1", b""), ("2", b"line\n"), ("3", b"part")):
            await self.begin(msg_id, "stty -echo; cat; echo end")
            taken = await self.sender.send(msg_id, text, is_last=True)
            self.assertTrue(taken.is_closed)
            self.assertEqual(await self.sender.send(msg_id, b"more"), taken)
            self.assertEqual((await self.report(msg_id))["exit_code"], 0)
            ends = self.written(msg_id).endswith(text.replace(b"\n", b"\r\n") + b"end\r\n")
            self.assertTrue(ends, self.written(msg_id))

    async def test_many_lines_of_input_arrive(self) -> None:
        data = b"".join(b"%d\n" % number for number in range(5_000))
        await self.begin("1", "stty -echo; echo on; sleep 1; exec sha256sum")
        await self.wrote("1", b"on")
        await self.sender.send("1", data, is_last=True)
        self.assertEqual((await self.report("1"))["exit_code"], 0)
        self.assertEqual(self.written("1").split()[1].decode(), hashlib.sha256(data).hexdigest())

    async def test_the_interrupt_key_interrupts(self) -> None:
        await self.begin("1", f"exec python3 -c '{IN_FOREGROUND}'")
        await self.wrote("1", b"leads")
        await self.sender.send("1", b"\x03")
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("finished", 0))
        self.assertEqual(self.written("1").count(b"interrupted"), 1)

    async def test_the_size_of_a_terminal_changes(self) -> None:
        await self.begin("1", f"exec python3 -c '{IN_FOREGROUND}'")
        await self.wrote("1", b"leads")
        self.assertTrue(self.executor.commands.resize("1", TerminalSize(120, 40)))
        await self.wrote("1", b"size 120 40")
        self.assertTrue(self.executor.commands.resize("1", TerminalSize(65_535, 1)))
        await self.wrote("1", b"size 65535 1")
        self.executor.interrupt("1", "r")
        await self.report("1")
        self.assertFalse(self.executor.commands.resize("1", SIZE))

    async def test_the_size_can_change_before_the_command_begins(self) -> None:
        with mock.patch.object(commands, "MAX_COMMANDS", 1):
            self.executor.submit(command("1", "sleep 0.5"))
            await self.begin("2", "stty size")
            self.assertFalse(self.executor.commands.resize("1", SIZE))
            self.assertTrue(self.executor.commands.resize("2", TerminalSize(10, 5)))
            await self.report("2")
        self.assertEqual(self.written("2"), b"5 10\r\n")
        # The size can also change while the command is being made.
        await self.begin("3", "sleep 0.5; stty size")
        for columns in range(10, 20):
            self.executor.commands.resize("3", TerminalSize(columns, 5))
            await asyncio.sleep(0.001)
        await self.report("3")
        self.assertEqual(self.written("3"), b"5 19\r\n")

    async def test_a_shell_has_job_control(self) -> None:
        await self.begin("1", "exec bash --norc -i")
        await self.sender.send("1", f"python3 -c '{IN_FOREGROUND}'\n".encode())
        await self.wrote("1", b"job\r\n")
        self.executor.commands.resize("1", TerminalSize(50, 20))
        await self.wrote("1", b"size 50 20")
        await self.sender.send("1", b"\x03")
        await self.wrote("1", b"interrupted\r\n")
        await self.sender.send("1", b"exit 7\n")
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("finished", 7))
        self.assertNotIn(b"no job control", self.written("1"))

    async def test_an_interrupt_hits_the_foreground_job(self) -> None:
        await self.begin("1", "exec bash --norc -i", grace_ms=LIMIT_MS)
        await self.sender.send("1", f"python3 -c '{IN_FOREGROUND}'\n".encode())
        await self.wrote("1", b"job\r\n")
        self.executor.interrupt("1", "r")
        await self.wrote("1", b"interrupted\r\n")
        # The shell itself ignores the interrupt.
        pass_limit()
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["signal"]), ("interrupted", "SIGKILL"))

    async def test_an_interrupt_without_job_control_arrives_once(self) -> None:
        await self.begin("1", f"exec python3 -c '{COUNTING}'")
        await self.wrote("1", b"leads")
        with mock.patch.object(os, "killpg", _kill_alone):
            self.executor.interrupt("1", "r")
            await self.wrote("1", b"interrupted")
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("interrupted", 0))
        self.assertEqual(self.written("1"), b"leads\r\ninterrupted 1\r\n")

    async def test_time_limit_and_grace_hold(self) -> None:
        await self.begin("1", "echo on; cat", timeout_ms=LIMIT_MS)
        await self.wrote("1", b"on")
        pass_limit()
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["signal"]), ("timeout", "SIGINT"))
        stubborn = "stty raw -echo; trap '' INT HUP TERM; echo on; cat"
        await self.begin("2", stubborn, timeout_ms=LIMIT_MS, grace_ms=SHORT_GRACE_MS)
        await self.wrote("2", b"on")
        pass_limit()
        report = await self.report("2")
        self.assertEqual((report["outcome"], report["signal"]), ("timeout", "SIGKILL"))

    async def test_ten_megabytes_of_output_arrive(self) -> None:
        await self.begin("1", "head -c 10000000 /dev/zero | tr '\\0' x")
        self.assertEqual((await self.report("1"))["exit_code"], 0)
        self.assertEqual(self.written("1"), b"x" * 10_000_000)

    async def test_the_last_output_arrives(self) -> None:
        for number in range(20):
            msg_id = str(number)
            lines = await self.shown(msg_id, "seq 300; echo last")
            self.assertEqual(lines, [*map(str, range(1, 301)), "last"])

    async def test_a_command_that_closes_its_terminal_runs_on_and_can_reopen_it(self) -> None:
        again = "tty=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.5; echo again >$tty; exit 4"
        await self.begin("1", again)
        report = await self.report("1")
        self.assertEqual((report["exit_code"], report["signal"]), (4, None))
        self.assertEqual(self.written("1"), b"again\r\n")

    async def test_a_command_can_open_dev_tty_except_under_gvisor(self) -> None:
        await self.begin("1", "echo direct >/dev/tty")
        await self.report("1")
        refused = b"/bin/bash: line 1: /dev/tty: Input/output error\r\n"
        is_gvisor = os.environ.get("CELLHOUSE_TIER") == "runsc"
        self.assertEqual(self.written("1"), refused if is_gvisor else b"direct\r\n")

    async def test_processes_that_a_command_has_started_end_with_it(self) -> None:
        await self.begin("1", "nohup sleep 60 & setsid sleep 60 & (trap '' HUP; sleep 60) & exit 5")
        self.assertEqual((await self.report("1"))["exit_code"], 5)

    async def test_a_command_that_cannot_begin_fails_with_the_reason(self) -> None:
        found = CommandOptions({}, "/no/such", True, SIZE)
        report = await self.run_command("1", "echo never", found=found)
        self.assertEqual(report["ename"], "CommandNotStarted")
        self.assertTrue(re.search("No such file", report["evalue"]))
        self.assertEqual(self.written("1"), b"")


def _kill_alone(group: int, number: int, killpg: Callable[[int, int], None] = os.killpg) -> None:
    """Send a signal. After an interrupt, wait until the group has handled it: two pending interrupts count as one."""
    killpg(group, number)
    if number == signal.SIGINT:
        wait_until_idle()
