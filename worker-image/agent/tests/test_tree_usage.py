"""CPU time and memory in the replies of executions, with real kernels: run as root in the worker image."""

import asyncio
from pathlib import Path
from typing import Any
from unittest import mock

from cellhouse_agent.gateway.requests import Context, ExecuteRequest
from cellhouse_agent.usage.meter import PeakSampler
from cellhouse_agent.usage.sampling import TakeSnapshot

from tests.with_executor import LONG_GRACE_MS, PATIENCE_SECONDS, WithExecutor

MEBIBYTE = 1_048_576
BURNT_MS = 400
# At most this much CPU time goes to a fork, the start of a Python, the rest of an execution, and rounding by Linux.
OTHER_MS = 250
BEGIN = f"""
import multiprocessing, os, signal, subprocess, sys, threading, time
def burn(clock=time.process_time):
    end = clock() + {BURNT_MS / 1000}
    while clock() < end: pass
def fork(what):
    pid = os.fork()
    if pid == 0:
        what()
        os._exit(0)
    return pid
def until_closed(begin):
    reading, writing = os.pipe()
    begin(writing)
    os.close(writing)
    os.read(reading, 1)
"""
WAYS = {
    "itself": "burn()",
    "a thread": "t = threading.Thread(target=burn, args=(time.thread_time,)); t.start(); t.join()",
    "a child": "os.waitpid(fork(burn), 0)",
    "a child that nobody waits for": "until_closed(lambda _: fork(burn))",
    "a program": f"""subprocess.run([sys.executable, "-c",
        "import time\\nwhile time.process_time() < {BURNT_MS / 1000}: pass"])""",
    "a process pool": """with multiprocessing.get_context("fork").Pool(1) as pool: pool.apply(burn)""",
    "an orphan": "until_closed(lambda _: os.waitpid(fork(lambda: fork(burn)), 0))",
    "a child that still runs": """
until_closed(lambda writing: fork(lambda: (burn(), os.close(writing), time.sleep(60))))""",
}
# Since SIGCHLD is ignored, Linux does not add the child's CPU time to that of its parent.
UNCHARGED = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
until_closed(lambda _: fork(burn))
time.sleep(0.1)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
"""
# Code waits for this file, which is made once the execution has been sampled.
SAMPLED = Path("/tmp/for-test-sampled")
HOLD = f"""
print("on", flush=True)
while not os.path.exists({str(SAMPLED)!r}): time.sleep(0.01)
"""
BIG = f"""
def hold():
    data = bytearray({100 * MEBIBYTE})
    exec({HOLD!r})
os.waitpid(fork(hold), 0)
"""


class TreeUsageTest(WithExecutor):
    """A worker with contexts."""

    async def asyncTearDown(self) -> None:
        SAMPLED.unlink(missing_ok=True)
        await self.executor.contexts.delete("other")
        await super().asyncTearDown()

    async def used(self, msg_id: str, code: str, context: str | None = None) -> dict[str, Any]:
        """Run code; returns the agent's report on it."""
        self.begin(msg_id, code, context)
        return await self.report(msg_id)

    def begin(self, msg_id: str, code: str, context: str | None = None) -> None:
        """Begin to run code."""
        where = Context(context, None) if context else None
        limits = (30_000, LONG_GRACE_MS, 1_000_000)
        self.executor.submit(ExecuteRequest(msg_id, code, {"msg_id": msg_id}, *limits, where))

    async def report(self, msg_id: str) -> dict[str, Any]:
        """The agent's report on an execution, once it has ended."""
        report = (await self.reply(msg_id))["metadata"]["cellhouse"]
        self.assertEqual(report["outcome"], "finished", self.frames(msg_id))
        return dict(report)

    async def sampled(self, *msg_ids: str) -> None:
        """Wait until all these executions have printed `on` and have then been sampled, and let them end."""
        for msg_id in msg_ids:
            await self.printed(msg_id, "on")
        seen: set[PeakSampler] = set()
        sample = PeakSampler.sample

        def note(sampler: PeakSampler, take: TakeSnapshot) -> None:
            sample(sampler, take)
            seen.add(sampler)

        with mock.patch.object(PeakSampler, "sample", note):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(seen) < len(msg_ids):
                    await asyncio.sleep(0.01)
        SAMPLED.touch()

    def assert_burnt(self, cpu_ms: float | None) -> None:
        """Check that `cpu_ms` is what `burn` takes, and little more."""
        assert cpu_ms is not None
        self.assertGreater(cpu_ms, 0.9 * BURNT_MS)
        self.assertLess(cpu_ms, BURNT_MS + OTHER_MS)

    async def test_cpu_time_is_charged_however_it_is_used(self) -> None:
        await self.used("begin", BEGIN)
        for name, code in WAYS.items():
            with self.subTest(name):
                self.assert_burnt((await self.used(name, code))["cpu_ms"])
                self.assertLess((await self.used(f"after {name}", "1"))["cpu_ms"], BURNT_MS / 2)

    async def test_uncharged_cpu_time_counts_if_there_is_no_other_context(self) -> None:
        await self.used("begin", BEGIN)
        self.assert_burnt((await self.used("alone", UNCHARGED))["cpu_ms"])
        await self.used("other", "1", "other")
        self.assertIsNone((await self.used("beside another", UNCHARGED))["cpu_ms"])
        self.assert_burnt((await self.used("charged", WAYS["a child"]))["cpu_ms"])

    async def test_each_of_two_executions_reports_its_own_use(self) -> None:
        for context in (None, "other"):
            await self.used(f"begin {context}", BEGIN, context)
        sleeps, burns = await asyncio.gather(
            self.used("sleeps", "time.sleep(1)"), self.used("burns", WAYS["itself"], "other")
        )
        self.assertLess(sleeps["cpu_ms"], BURNT_MS / 2)
        self.assert_burnt(burns["cpu_ms"])
        self.begin("small", HOLD)
        self.begin("big", BIG, "other")
        await self.sampled("small", "big")
        small, big = [await self.report(msg_id) for msg_id in ("small", "big")]
        more = big["peak_memory_bytes"] - small["peak_memory_bytes"]
        self.assertGreater(more, 80 * MEBIBYTE)

    async def test_the_peak_is_that_of_the_execution_with_its_children(self) -> None:
        idle = (await self.used("begin", BEGIN))["peak_memory_bytes"]
        self.begin("big", BIG)
        await self.sampled("big")
        peak = (await self.report("big"))["peak_memory_bytes"]
        self.assertGreater(peak - idle, 95 * MEBIBYTE)
        # Under gVisor, a fork makes its parent larger.
        self.assertLess((await self.used("after", "1"))["peak_memory_bytes"] - idle, 60 * MEBIBYTE)
