"""Input of commands: each byte arrives once, in order, and a command that does not read holds up nothing else."""

import hashlib
import os
import random
from unittest import mock

from cellhouse_agent.commands import commands
from cellhouse_agent.executions.inputs import MAX_UNREAD_BYTES, InputPart, OutOfOrder, Taken
from cellhouse_agent.gateway.requests import CommandOptions

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_commands import WithCommands, command
from tests.with_input import Sender

WITH_INPUT = CommandOptions({}, None, has_input=True)
TEN_MEGABYTES = 10_000_000
# Tries to open the input of another process: by the path of its descriptor, and by a copy of the descriptor.
STEAL = """
import ctypes, os, sys
pid = int(sys.argv[1])
def by_name():
    return os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
def by_copy():
    handle = os.pidfd_open(pid)
    copy = ctypes.CDLL(None, use_errno=True).syscall(438, handle, 0, 0)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return copy
for how in (by_name, by_copy):
    try:
        os.close(how())
        print(how.__name__, "opens it")
    except OSError as error:
        print(how.__name__, "refused")
"""


class CommandInput(WithCommands):
    """Input through a pipe."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.sender = Sender(self.executor)

    async def begin(self, msg_id: str, code: str, **limits: int) -> None:
        """Begin a command that takes input."""
        self.executor.submit(command(msg_id, code, found=WITH_INPUT, **limits))

    async def test_input_arrives_byte_for_byte_and_then_ends(self) -> None:
        await self.begin("1", "cat; echo end")
        await self.sender.send("1", bytes(range(256)))
        await self.wrote("1", bytes(range(256)))
        taken = await self.sender.send("1", b"more", is_last=True)
        self.assertEqual(taken, Taken(True, 260, True))
        report = await self.report("1")
        self.assertEqual((report["exit_code"], report["outcome"]), (0, "finished"))
        self.assertEqual(self.written("1"), bytes(range(256)) + b"moreend\n")

    async def test_ten_megabytes_wait_for_a_reader_that_sleeps(self) -> None:
        data = random.Random(1).randbytes(TEN_MEGABYTES)
        await self.begin("1", "echo on; sleep 2; sha256sum; echo end")
        await self.wrote("1", b"on")
        held = 0
        while not self.written("1").endswith(b"end\n") and held < len(data):
            part = InputPart("1", held, data[held : held + 32_768], held + 32_768 >= len(data))
            held = (await self.executor.inputs.take(part)).accepted
            buffer = self.executor.inputs.of("1")
            assert buffer
            self.assertLessEqual(len(buffer.peek(2 * MAX_UNREAD_BYTES)), MAX_UNREAD_BYTES)
        self.assertEqual((await self.report("1"))["exit_code"], 0)
        digest = hashlib.sha256(data).hexdigest()
        self.assertEqual(self.written("1").decode(), f"on\n{digest}  -\nend\n")

    async def test_bytes_that_are_sent_again_are_read_once(self) -> None:
        await self.begin("1", "cat")
        inputs = self.executor.inputs
        for _ in range(3):
            self.assertEqual((await inputs.take(InputPart("1", 0, b"abc", False))).accepted, 3)
        self.assertEqual((await inputs.take(InputPart("1", 1, b"bcde", False))).accepted, 5)
        with self.assertRaises(OutOfOrder) as refused:
            await inputs.take(InputPart("1", 6, b"g", False))
        self.assertEqual(refused.exception.accepted, 5)
        for _ in range(2):
            taken = await inputs.take(InputPart("1", 5, b"f", True))
            self.assertIn(taken, (Taken(True, 6, True), Taken(False, 0, False)))
        await self.report("1")
        self.assertEqual(self.written("1"), b"abcdef")

    async def test_a_command_can_answer_each_line_of_input(self) -> None:
        await self.begin("1", "while read -r line; do echo got $line; done; echo end")
        for line in (b"one", b"two", "漢".encode()):
            await self.sender.send("1", line + b"\n")
            await self.wrote("1", b"got " + line)
        await self.sender.send("1", is_last=True)
        await self.report("1")
        self.assertEqual(self.written("1").decode(), "got one\ngot two\ngot 漢\nend\n")

    async def test_an_interactive_python_runs_its_input(self) -> None:
        await self.begin("1", "exec python3 -i -q")
        await self.sender.send("1", b"x = 20 + 1\nprint(2 * x, flush=True)\n")
        await self.wrote("1", b"42\n")
        await self.sender.send("1", b"raise SystemExit(x)\n")
        self.assertEqual((await self.report("1"))["exit_code"], 21)

    async def test_a_command_that_never_reads_ends_with_its_own_exit_code(self) -> None:
        await self.begin("1", "sleep 0.5; exit 3")
        await self.sender.send("1", b"x" * 1_000)
        self.assertEqual((await self.report("1"))["exit_code"], 3)
        self.assertEqual(await self.sender.send("1", b"late"), Taken(False, 0, False))

    async def test_input_that_a_command_has_not_read_at_its_end_is_dropped(self) -> None:
        await self.begin("1", "head -c 3; echo")
        taken = await self.sender.send("1", b"x" * TEN_MEGABYTES)
        self.assertIn(taken, (Taken(True, TEN_MEGABYTES, False), Taken(False, 0, False)))
        self.assertEqual((await self.report("1"))["exit_code"], 0)
        self.assertEqual(self.written("1"), b"xxx\n")

    async def test_input_that_comes_after_a_command_has_closed_it_is_dropped(self) -> None:
        await self.begin("1", "exec <&-; echo closed; sleep 60")
        await self.wrote("1", b"closed")
        taken = await self.sender.send("1", b"x" * TEN_MEGABYTES)
        self.assertEqual(taken, Taken(True, TEN_MEGABYTES, False))
        self.executor.interrupt("1", "r")
        self.assertEqual((await self.report("1"))["outcome"], "interrupted")

    async def test_input_of_a_queued_command_waits(self) -> None:
        with mock.patch.object(commands, "MAX_COMMANDS", 1):
            await self.begin("1", "cat")
            await self.begin("2", "cat")
            await self.sender.send("2", b"early", is_last=True)
            await self.sender.send("1", is_last=True)
            await self.report("2")
        self.assertEqual(self.written("2"), b"early")

    async def test_waiting_for_input_counts_towards_the_time_limit(self) -> None:
        await self.begin("1", "echo on; cat", timeout_ms=LIMIT_MS)
        await self.wrote("1", b"on")
        pass_limit()
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["signal"]), ("timeout", "SIGINT"))
        await self.begin("2", "echo on; cat")
        await self.wrote("2", b"on")
        self.executor.interrupt("2", "r")
        report = await self.report("2")
        self.assertEqual((report["outcome"], report["signal"]), ("interrupted", "SIGINT"))

    async def test_a_command_that_did_not_ask_for_input_takes_none(self) -> None:
        self.executor.submit(command("1", "cat; sleep 0.5; echo end"))
        self.assertEqual(await self.sender.send("1", b"x"), Taken(False, 0, False))
        await self.report("1")
        self.assertEqual(self.written("1"), b"end\n")
        unknown = InputPart("never", 0, b"x", False)
        self.assertEqual(await self.executor.inputs.take(unknown), Taken(False, 0, False))

    async def test_input_can_be_opened_as_dev_stdin(self) -> None:
        if os.environ.get("CELLHOUSE_TIER") == "runsc":
            # gVisor cannot let the user open the agent's pipe (cellhouse_agent/processes/children.py, open_to_user).
            return
        await self.begin("1", "cat /dev/stdin")
        await self.sender.send("1", b"text", is_last=True)
        self.assertEqual((await self.report("1"))["exit_code"], 0)
        self.assertEqual(self.written("1"), b"text")

    async def test_another_command_can_neither_add_input_nor_take_output(self) -> None:
        await self.begin("1", "echo $$; exec sleep 60")
        await self.wrote("1", b"\n")
        pid = int(self.written("1"))
        shown = await self.output("2", f"exec python3 -I -c '{STEAL}' {pid}")
        # All commands run as the same user (security.md, "Remaining risks"). The tier decides which attempts are
        # refused, and it is known only in a worker.
        if tier := os.environ.get("CELLHOUSE_TIER"):
            by_name = "opens it" if tier == "runc" else "refused"
            self.assertEqual(shown, f"by_name {by_name}\nby_copy refused\n")
        # The agent's ends are out of reach: nobody can add input, or take away output.
        for number, how in ((0, "O_WRONLY"), (1, "O_RDONLY")):
            touch = f"os.open('/proc/{pid}/fd/{number}', os.{how} | os.O_NONBLOCK)"
            msg_id = f"touch {number}"
            report = await self.run_command(msg_id, f'exec python3 -I -c "import os; {touch}"')
            self.assertEqual(report["exit_code"], 1)
            self.assertIn(b"PermissionError", self.written(msg_id, "stderr"))
        self.executor.interrupt("1", "r")
        await self.report("1")
