"""How the executor runs commands: once, in order, interruptible, and beside cells."""

import asyncio
import os
import signal
from unittest import mock

from cellhouse_agent.commands import commands
from cellhouse_agent.executions.executor import QueueFull
from cellhouse_agent.executions.lane import MAX_QUEUED_REQUESTS
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.requests import CommandOptions
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.kernel.launcher import KernelLauncher
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_agent.usage.meter import PeakSampler
from cellhouse_agent.usage.sampling import TakeSnapshot
from cellhouse_kernel.privileges import HOME

from tests.with_commands import WithCommands, command
from tests.with_executor import PATIENCE_SECONDS, request

# Writes its pid, and then nothing, for a minute.
WAIT = "echo $$; exec sleep 60"
# Flushed as one write: two processes that print at the same time each keep their line.
ALLOCATE = "data = b'x' * 200_000_000; print(len(data), flush=True)"
# Allocates the same memory, and keeps it until the test has seen a sample of the memory.
HOLD = f"""
import os, time
{ALLOCATE}
while not os.path.exists('/tmp/sampled'): time.sleep(0.01)
"""
# In Python, because a shell misses a SIGINT that comes just when one of its children ends.
COUNT_INTERRUPTS = """
import signal, time
hits = 0
def hit(*_):
    global hits
    hits += 1
    print("hit", hits)
signal.signal(signal.SIGINT, hit)
print("on")
while hits < 3:
    time.sleep(0.02)
"""
# A cell that ends when a command has made the file `awaited`.
AWAIT = "import os, time\nwhile not os.path.exists('awaited'): time.sleep(0.05)"
# Uses half a second of CPU time in a grandchild.
SPIN = "(python3 -c 'import time\nwhile time.process_time() < 0.5: pass' & wait)"


class Taking(WithCommands):
    """Which requests run."""

    async def test_an_id_runs_at_most_once(self) -> None:
        count = "echo run >> /tmp/counted; cat /tmp/counted"
        self.assertEqual(await self.output("1", count), "run\n")
        self.executor.submit(command("1", count))
        self.executor.ack(self.buffer.last_seq)
        self.executor.submit(command("1", count))
        # A cell of the same id does not run either.
        self.executor.submit(request("1", "print(1)"))
        self.assertEqual(await self.output("2", f"{count}; rm /tmp/counted"), "run\nrun\n")
        self.assertEqual(self.frames("1"), [])

    async def test_frames_come_in_the_same_order_as_those_of_a_cell(self) -> None:
        report = await self.run_command("1", "echo out")
        types = [frame["header"]["msg_type"] for frame in self.frames("1")]
        self.assertEqual(types, ["status", "stream", "status", "execute_reply"])
        content = self.frames("1")[-1]["content"]
        self.assertEqual(content, {"status": "ok", "execution_count": None})
        self.assertEqual((report["exit_code"], report["signal"]), (0, None))

    async def test_a_command_that_is_interrupted_before_it_arrives_does_not_run(self) -> None:
        self.assertEqual(self.executor.interrupt("1", "r1"), (False, False))
        report = await self.run_command("1", "touch /tmp/ran")
        self.assertEqual((report["outcome"], report["started_at"]), ("interrupted", None))
        self.assertFalse(os.path.exists("/tmp/ran"))
        self.assertEqual(self.executor.interrupt("1", "r1"), (False, True))

    async def test_an_interrupt_hits_only_the_command_that_it_names(self) -> None:
        for msg_id in ("1", "2"):
            self.executor.submit(command(msg_id, WAIT))
            await self.wrote(msg_id, b"\n")
        self.assertEqual(self.executor.interrupt("1", "r1"), (True, True))
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["signal"]), ("interrupted", "SIGINT"))
        self.assertEqual([*user_processes()], [int(self.written("2"))])
        self.assertEqual(self.executor.interrupt("2", "r2"), (True, True))
        await self.report("2")

    async def test_an_interrupt_during_the_start_ends_the_command(self) -> None:
        for number in range(20):
            msg_id = str(number)
            self.executor.submit(command(msg_id, "sleep 60; echo never"))
            await asyncio.sleep(0.001 * number)
            self.assertEqual(self.executor.interrupt(msg_id, msg_id), (True, True))
            report = await self.report(msg_id)
            self.assertEqual(report["outcome"], "interrupted")
            # SIGKILL would mean that the command missed the interrupt.
            self.assertNotEqual(report.get("signal"), "SIGKILL")
            self.assertEqual(self.written(msg_id), b"")

    async def test_an_interrupt_that_is_sent_again_interrupts_once(self) -> None:
        self.executor.submit(command("1", f"exec python3 -u -c '{COUNT_INTERRUPTS}'"))
        await self.wrote("1", b"on\n")
        for number in (1, 2, 3):
            for _ in range(2):
                self.assertTrue(self.executor.interrupt("1", f"r{number}").interrupted)
            await self.wrote("1", f"hit {number}\n".encode())
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("interrupted", 0))
        self.assertEqual(self.written("1").count(b"hit"), 3)

    async def test_the_first_frame_has_the_pid_of_the_command(self) -> None:
        self.executor.submit(command("1", "echo $$; kill -STOP $$; exec sleep 60"))
        await self.wrote("1", b"\n")
        busy, *_ = self.frames("1")
        self.assertEqual(busy["content"]["pid"], int(self.written("1")))
        self.executor.interrupt("1", "r1", signal.SIGKILL)
        await self.report("1")

    async def test_an_interrupt_can_send_another_signal_than_sigint(self) -> None:
        code = "trap 'echo term; exit 3' TERM; echo on; sleep 60 & wait"
        self.executor.submit(command("1", code))
        await self.wrote("1", b"on\n")
        self.assertEqual(self.executor.interrupt("1", "r1", signal.SIGTERM), (True, True))
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("interrupted", 3))
        self.assertEqual(self.written("1"), b"on\nterm\n")
        self.executor.submit(command("2", WAIT))
        await self.wrote("2", b"\n")
        self.executor.interrupt("2", "r2", signal.SIGTERM)
        self.assertEqual((await self.report("2"))["signal"], "SIGTERM")

    async def test_sigkill_ends_a_command_at_once_whatever_it_ignores(self) -> None:
        ignoring = "trap '' INT TERM; (trap '' INT TERM; sleep 60) & echo on; wait"
        for msg_id, before in (("1", ()), ("2", (signal.SIGINT,)), ("3", (signal.SIGTERM,))):
            self.executor.submit(command(msg_id, ignoring, grace_ms=600_000))
            await self.wrote(msg_id, b"on\n")
            for number in before:
                self.executor.interrupt(msg_id, f"first {msg_id}", number)
                await asyncio.sleep(0.05)
            self.executor.interrupt(msg_id, f"last {msg_id}", signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_SECONDS):
                report = await self.report(msg_id)
            self.assertEqual((report["outcome"], report["signal"]), ("interrupted", "SIGKILL"))
            self.assertEqual([*user_processes()], [])

    async def test_a_queued_command_waits_and_can_be_interrupted(self) -> None:
        with mock.patch.object(commands, "MAX_COMMANDS", 2):
            for msg_id in ("1", "2", "3", "4"):
                self.executor.submit(command(msg_id, WAIT))
            await self.wrote("2", b"\n")
            self.assertEqual(self.executor.interrupt("3", "r3"), (True, True))
            report = await self.report("3")
            self.assertEqual((report["outcome"], report["started_at"]), ("interrupted", None))
            self.assertEqual(self.frames("4"), [])
            self.executor.interrupt("1", "r1")
            await self.wrote("4", b"\n")
            for number in range(MAX_QUEUED_REQUESTS):
                self.executor.submit(command(f"queued {number}", "exit 0"))
            with self.assertRaises(QueueFull):
                self.executor.submit(command("one more", "exit 0"))
            for msg_id in ("2", "4"):
                self.executor.interrupt(msg_id, f"r{msg_id}")
            for number in range(MAX_QUEUED_REQUESTS):
                self.assertEqual((await self.report(f"queued {number}"))["exit_code"], 0)

    async def test_a_time_limit_holds_for_its_own_command_only(self) -> None:
        self.executor.submit(command("1", "sleep 60", timeout_ms=100))
        report = await self.run_command("2", "sleep 0.5; echo in time")
        self.assertEqual(report["outcome"], "finished")
        self.assertEqual((await self.report("1"))["outcome"], "timeout")


class Surroundings(WithCommands):
    """The environment of a command, and the figures in its report."""

    async def test_a_command_has_the_variables_of_the_session_and_its_own(self) -> None:
        self.executor.set_variables({"A": "session", "B": "session", "LD_PRELOAD": ""})
        odd = "x '\"\n漢 $HOME"
        found = CommandOptions({"B": "own", "ODD": odd}, None)
        shown = (await self.output("1", "env -0", found=found)).split("\0")
        variables = dict(each.partition("=")[::2] for each in shown if each)
        given = [variables[name] for name in ("A", "B", "ODD", "HOME", "PWD", "LANG")]
        self.assertEqual(given, ["session", "own", odd, HOME, HOME, "C.UTF-8"])
        self.assertFalse([name for name in variables if name.startswith("CELLHOUSE")])
        self.assertEqual(await self.output("2", "echo $A $B $ODD"), "session session\n")

    async def test_a_command_begins_in_its_folder_or_fails_with_the_reason(self) -> None:
        self.assertEqual(await self.output("1", "pwd"), f"{HOME}\n")
        self.assertEqual(
            await self.output("2", "pwd", found=CommandOptions({}, "/usr/bin")), "/usr/bin\n"
        )
        for folder, reason in (
            ("/no/such", "No such file or directory"),
            ("/etc/passwd", "Not a directory"),
            ("/run/cellhouse", "Permission denied"),
        ):
            report = await self.run_command(folder, "echo never", found=CommandOptions({}, folder))
            self.assertEqual(report["ename"], "CommandNotStarted")
            self.assertEqual(report["evalue"], f"It could not enter the folder: {reason}")
            self.assertEqual((report["exit_code"], report["signal"]), (None, None))
            self.assertEqual(self.written(folder), b"")

    async def test_text_that_is_not_unicode_is_passed_on(self) -> None:
        await self.run_command("1", "printf '%s' '\ud800'")
        self.assertEqual(self.written("1"), b"\xed\xa0\x80")

    async def test_a_command_whose_variables_are_too_large_does_not_start(self) -> None:
        many = CommandOptions({f"N{number}": "x" * 100_000 for number in range(40)}, None)
        report = await self.run_command("1", "echo never", found=many)
        # gVisor says that a name is too long.
        self.assertRegex(report["evalue"], "^It could not execute the code: .* too long$")
        self.assertEqual((report["ename"], report["exit_code"]), ("CommandNotStarted", None))

    async def test_cpu_time_and_memory_are_those_of_all_processes_of_a_command(self) -> None:
        report = await self.run_command("1", SPIN)
        self.assertGreater(report["cpu_ms"], 450)
        self.assertLess(report["cpu_ms"], 5_000)
        report = await self.run_command("2", f'(python3 -c "{ALLOCATE}")')
        self.assertGreater(report["peak_memory_bytes"], 200_000_000)
        self.assertLess(report["peak_memory_bytes"], 300_000_000)
        report = await self.run_command("3", "true")
        self.assertLess(report["cpu_ms"], 200)
        # It ends before the first sample, except on a busy machine.
        self.assertLess(report["peak_memory_bytes"] or 0, 50_000_000)
        hold = f'hold() {{ exec python3 -c "{HOLD}"; }}; hold & hold & wait'
        self.executor.submit(command("4", hold))
        await self.wrote("4", b"200000000\n200000000\n")
        await self.sampled()
        with open("/tmp/sampled", "w", encoding="ascii"):
            self.addCleanup(os.remove, "/tmp/sampled")
        report = await self.report("4")
        self.assertGreater(report["peak_memory_bytes"], 380_000_000)

    async def sampled(self) -> None:
        """Wait until the agent has taken a new sample of the memory."""
        seen = asyncio.Event()
        sample = PeakSampler.sample

        def note(sampler: PeakSampler, take: TakeSnapshot) -> None:
            sample(sampler, take)
            seen.set()

        with mock.patch.object(PeakSampler, "sample", note):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await seen.wait()


class BesideCells(WithCommands):
    """With a kernel, and a watch that reports changed files of the home."""

    async def asyncSetUp(self) -> None:
        self.helper = FilesHelper()
        self.home = HomeWatch(self.helper)
        await super().asyncSetUp()
        self.launcher = KernelLauncher(cpus=1)
        self.launcher.start()
        self.kernel = Kernel(self.launcher, 16_777_216, self.executor.on_message)
        await self.kernel.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.helper.wait_ready()
        self.work = asyncio.create_task(self.executor.run(self.kernel))
        await self.cell("first", "1")

    async def asyncTearDown(self) -> None:
        self.work.cancel()
        await asyncio.wait([self.work])
        await self.kernel.end()
        await self.launcher.close()
        await super().asyncTearDown()
        assert self.home
        await self.home.close()
        await self.helper.close()

    async def cell(self, msg_id: str, code: str) -> str:
        """Run Python; returns what it printed."""
        self.executor.submit(request(msg_id, code))
        self.assertEqual((await self.reply(msg_id))["content"]["status"], "ok")
        return self.written(msg_id).decode()

    async def test_a_fresh_kernel_leaves_commands_alone(self) -> None:
        self.executor.submit(command("1", WAIT))
        await self.wrote("1", b"\n")
        pid = int(self.written("1"))
        self.assertEqual(await self.executor.restart(), 2)
        self.assertIn(pid, user_processes())
        self.assertEqual(await self.cell("2", "print(1)"), "1\n")
        self.executor.interrupt("1", "r")
        await self.report("1")
        self.assertEqual(await self.cell("3", "print(2)"), "2\n")
        self.assertEqual(self.executor.generation, 2)

    async def test_a_server_is_reached_from_cells_and_outlives_their_kernel(self) -> None:
        self.executor.submit(command("1", "python3 -u -m http.server 8124 --bind 127.0.0.1"))
        await self.wrote("1", b"Serving")
        fetch = (
            "from urllib.request import urlopen\n"
            "print(urlopen('http://127.0.0.1:8124/').status, flush=True)"
        )
        self.assertEqual(await self.cell("2", fetch), "200\n")
        self.assertEqual(await self.executor.restart(), 2)
        self.assertEqual(await self.cell("3", fetch), "200\n")
        self.executor.interrupt("1", "r")
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("interrupted", 0))
        self.assertEqual([*user_processes()], [self.kernel.process_id])

    async def test_a_lost_reaper_of_a_kernel_leaves_commands_alone(self) -> None:
        self.executor.submit(command("1", f"sleep 60 & {WAIT}"))
        await self.wrote("1", b"\n")
        reaper = int(await self.cell("2", "import os; print(os.getppid())"))
        before = {*user_processes()} - {self.kernel.process_id}
        self.assertEqual(len(before), 2)
        os.kill(reaper, 9)
        await self.kernel.wait_exited()
        self.assertEqual(await self.executor.restart(), 2)
        self.assertEqual({*user_processes()} - {self.kernel.process_id}, before)

    async def test_the_end_of_a_command_leaves_cells_and_other_commands_alone(self) -> None:
        self.executor.submit(request("cell", "import time; time.sleep(1); print('on')"))
        self.executor.submit(command("1", WAIT))
        await self.wrote("1", b"\n")
        await self.run_command("2", "sleep 60 & exit 1")
        self.assertIn(int(self.written("1")), user_processes())
        await self.reply("cell")
        self.assertEqual(self.written("cell"), b"on\n")

    async def test_the_cpu_time_of_a_command_is_not_counted_for_a_cell(self) -> None:
        self.executor.submit(request("cell", AWAIT))
        await self.started("cell")
        self.assertGreater((await self.run_command("1", SPIN))["cpu_ms"], 450)
        await self.run_command("2", "touch awaited")
        report = (await self.reply("cell"))["metadata"]["cellhouse"]
        assert report["cpu_ms"] is not None
        self.assertLess(report["cpu_ms"], 250)

    async def test_files_that_a_command_changes_in_the_home_are_reported(self) -> None:
        report = await self.run_command("1", "echo text > made.txt")
        files = report["files"]
        self.assertEqual([change["path"] for change in files["changes"]], ["made.txt"], files)
        self.assertEqual((files["reason"], files["shared"]), (None, False))
        self.executor.submit(command("2", "echo on; while [ -e made.txt ]; do sleep 0.1; done"))
        await self.wrote("2", b"on")
        await self.cell("3", "import os; os.remove('made.txt')")
        for msg_id in ("2", "3"):
            files = (await self.report(msg_id))["files"]
            changed = [(change["path"], change["change"]) for change in files["changes"]]
            self.assertEqual((changed, files["shared"]), ([("made.txt", "deleted")], True))
