"""The executor with a real kernel, under the kernel's own user: run as root in the worker image."""

import asyncio
from unittest import mock

from cellhouse_agent.executions.executor import QueueFull
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_agent.usage.meter import UsageSampler

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_executor import PATIENCE_SECONDS, SHORT_GRACE_MS, WithExecutor, request

# Defines `forge`, which sends a message in the kernel's name at once.
FORGERY = """
import signal, time
kernel = get_ipython().kernel
def forge(channel, msg_type, content):
    socket = kernel.shell_channel if channel == "shell" else kernel.iopub_socket
    kernel.session.send(socket, msg_type, content, parent=kernel.get_parent("shell"))
"""
# Forges its own end, with the key that it has found in its kernel's memory, and runs on.
PRETENDER = (
    FORGERY
    + """
import sys
frame = sys._getframe()
while "end_key" not in frame.f_locals:
    frame = frame.f_back
forge("shell", "execute_reply", {"status": "ok", "execution_count": 1})
forge("iopub", "status", {"execution_state": "idle", "end_key": frame.f_locals["end_key"]})
time.sleep(50)
"""
)


class ExecutorTest(WithExecutor):
    """A worker without its socket."""

    async def test_state_lives_from_one_execution_to_the_next(self) -> None:
        self.assertEqual(await self.run_code("1", "a = 10"), ("finished", ""))
        self.assertEqual(await self.run_code("2", "print(a * 20)"), ("finished", "200\n"))
        types = [frame["header"]["msg_type"] for frame in self.frames("2")]
        self.assertEqual(types, ["status", "stream", "status", "execute_reply"])

    async def test_an_end_that_cannot_be_reported_ends_the_agent(self) -> None:
        with mock.patch.object(UsageSampler, "stop", side_effect=OSError("no counter")):
            self.executor.submit(request("1", "pass"))
            async with asyncio.timeout(PATIENCE_SECONDS):
                with self.assertRaisesRegex(OSError, "no counter"):
                    await self.work

    async def test_an_id_runs_at_most_once(self) -> None:
        code = "n = globals().get('n', 0) + 1; print(n)"
        self.assertEqual(await self.run_code("1", code), ("finished", "1\n"))
        self.executor.submit(request("1", code))
        self.executor.ack(self.buffer.last_seq)
        self.executor.submit(request("1", code))
        self.assertEqual(await self.run_code("2", code), ("finished", "2\n"))

    async def test_a_runaway_loop_is_stopped_and_keeps_its_variables(self) -> None:
        loop = "b = 5; print('on')\nwhile True: pass"
        self.executor.submit(request("1", loop, LIMIT_MS))
        await self.printed("1", "on")
        pass_limit()
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("timeout", False))
        self.assertEqual(await self.run_code("2", "print(b)"), ("finished", "5\n"))

    async def test_a_limit_that_is_over_before_the_code_is_taken_up_keeps_the_variables(
        self,
    ) -> None:
        for attempt in range(20):
            msg_id = str(attempt)
            loop = "while True: pass"
            self.assertEqual((await self.run_code(msg_id, loop, timeout_ms=1))[0], "timeout")
            report = (await self.reply(msg_id))["metadata"]["cellhouse"]
            self.assertFalse(report["state_lost"])

    async def test_code_that_ignores_the_interrupt_loses_its_kernel(self) -> None:
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on')"
        self.executor.submit(request("1", f"{deaf}\nwhile True: pass", LIMIT_MS, SHORT_GRACE_MS))
        await self.printed("1", "on")
        pass_limit()
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("timeout", True))
        self.assertGreater(report["finished_at"] - report["started_at"], SHORT_GRACE_MS)
        self.assertEqual(await self.run_code("2", "print(1)"), ("finished", "1\n"))

    async def test_a_dead_kernel_is_reported_and_replaced(self) -> None:
        outcome, _ = await self.run_code("1", "import os; os._exit(3)")
        reply = await self.reply("1")
        self.assertEqual(outcome, "kernel_died")
        self.assertEqual(reply["content"]["ename"], "KernelDied")
        self.assertEqual(reply["metadata"]["cellhouse"]["exit_code"], 3)
        self.assertEqual(await self.run_code("2", "print(1)"), ("finished", "1\n"))
        self.assertEqual(self.executor.generation, 2)

    async def test_no_request_runs_between_quit_and_the_end_of_the_kernel(self) -> None:
        self.executor.submit(request("1", "quit()"))
        self.executor.submit(request("2", "print(1)"))
        self.assertEqual((await self.reply("1"))["content"]["status"], "ok")
        report = (await self.reply("2"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("finished", True))

    async def test_an_interrupt_hits_only_the_request_it_names(self) -> None:
        self.executor.submit(request("1", "import time; time.sleep(50)"))
        self.executor.submit(request("2", "print(1)"))
        await self.started("1")
        self.assertEqual(self.executor.interrupt("2"), (True, True))
        self.assertEqual(self.executor.interrupt("2"), (False, True))
        self.assertIsNone((await self.reply("2"))["metadata"]["cellhouse"]["started_at"])
        self.assertEqual(self.executor.interrupt("1"), (True, True))
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("interrupted", False))

    async def test_a_request_that_is_interrupted_before_it_arrives_does_not_run(self) -> None:
        self.assertEqual(self.executor.interrupt("1", "r1"), (False, False))
        self.assertEqual(self.executor.interrupt("1", "r1"), (False, False))
        self.executor.submit(request("1", "print(1)"))
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["started_at"]), ("interrupted", None))
        self.assertEqual(await self.run_code("2", "print(2)"), ("finished", "2\n"))

    async def test_an_interrupt_that_is_sent_again_interrupts_once(self) -> None:
        code = (
            "import time\n"
            "for n in (1, 2):\n"
            "  try:\n"
            "    print('on', n)\n"
            "    time.sleep(50)\n"
            "  except KeyboardInterrupt:\n"
            "    print('hit', n)\n"
        )
        self.executor.submit(request("1", code))
        await self.printed("1", "on 1\n")
        self.assertTrue(self.executor.interrupt("1", "r1").interrupted)
        await self.printed("1", "hit 1\non 2\n")
        self.assertTrue(self.executor.interrupt("1", "r1").interrupted)
        with self.assertRaises(TimeoutError):
            await self.printed("1", "hit 2\n", 0.5)
        self.assertTrue(self.executor.interrupt("1", "r2").interrupted)
        await self.printed("1", "hit 2\n")

    async def test_a_restart_ends_the_running_code_and_all_its_processes(self) -> None:
        code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(50)"
        self.executor.submit(request("1", code))
        await self.started("1")
        self.assertEqual(await self.executor.restart(), 2)
        self.assertEqual(len(list(user_processes())), 1)
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("interrupted", True))

    async def test_a_leftover_that_blocks_the_kernel_is_ended_within_the_limit(self) -> None:
        task = "import asyncio\nasync def f():\n  while True: pass\nt = asyncio.ensure_future(f())"
        await self.run_code("1", task)
        # The leftover is interrupted after a second of the kernel's CPU time, which takes longer on a busy machine.
        self.assertEqual((await self.run_code("2", "1", 30_000, SHORT_GRACE_MS))[0], "finished")
        self.assertEqual((await self.run_code("3", "1"))[0], "finished")

    async def test_code_that_runs_on_after_a_forged_end_does_not_end_the_next(self) -> None:
        self.assertEqual((await self.run_code("1", PRETENDER))[0], "finished")
        self.assertEqual(await self.run_code("2", "print('mine')"), ("finished", "mine\n"))
        report = (await self.reply("2"))["metadata"]["cellhouse"]
        self.assertFalse(report["state_lost"])

    async def test_code_that_runs_on_after_a_forged_idle_is_not_over(self) -> None:
        code = (
            FORGERY
            + "forge('iopub', 'status', {'execution_state': 'idle'}); time.sleep(1.2); 1 / 0"
        )
        self.assertEqual((await self.run_code("1", code))[0], "finished")
        reply = await self.reply("1")
        self.assertEqual(reply["content"]["ename"], "ZeroDivisionError")
        report = reply["metadata"]["cellhouse"]
        self.assertGreater(report["finished_at"] - report["started_at"], 1_200)

    async def test_output_after_a_forged_end_is_kept(self) -> None:
        reply = "forge('shell', 'execute_reply', {'status': 'ok', 'execution_count': 1})\n"
        idle = "forge('iopub', 'status', {'execution_state': 'idle'})\n"
        for number, end in enumerate((idle, reply + idle, idle + reply)):
            code = f"{FORGERY}{end}print('after'); time.sleep(0.1); print('the end')"
            ran = await self.run_code(str(number), code)
            self.assertEqual(ran, ("finished", "after\nthe end\n"))

    async def test_a_request_that_a_stuck_kernel_never_ran_has_an_end_after_its_start(self) -> None:
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        self.assertEqual((await self.run_code("1", deaf + PRETENDER))[0], "finished")
        self.assertEqual((await self.run_code("2", "print('never')", 300)), ("timeout", ""))
        report = (await self.reply("2"))["metadata"]["cellhouse"]
        self.assertTrue(report["state_lost"])
        self.assertGreaterEqual(report["finished_at"], report["started_at"])
        self.assertEqual(await self.run_code("3", "print(1)"), ("finished", "1\n"))

    async def test_the_queue_is_bounded(self) -> None:
        with self.assertRaises(QueueFull):
            for number in range(100):
                self.executor.submit(request(str(number), "pass"))

    async def test_output_with_a_forged_parent_reaches_no_other_execution(self) -> None:
        code = (
            "k = get_ipython().kernel\n"
            "k.session.send(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 'forged'},"
            " parent={'header': {'msg_id': '1'}})"
        )
        await self.run_code("1", "print('mine')")
        await self.run_code("2", code)
        texts = [frame["content"].get("text") for frame in self.frames("1")]
        self.assertEqual([text for text in texts if text], ["mine\n"])
        self.assertGreaterEqual(self.executor.stray_messages, 1)
