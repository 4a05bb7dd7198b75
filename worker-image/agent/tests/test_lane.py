"""Two lanes beside each other, with real kernels and a real helper: run as root in the worker image."""

import asyncio
import pwd
from pathlib import Path
from typing import Any

from cellhouse_agent.executions.inputs import Inputs
from cellhouse_agent.executions.lane import MAX_QUEUED_REQUESTS, Lane
from cellhouse_agent.executions.record import SharedParts
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.usage.container import find_usage
from cellhouse_agent.usage.sampling import Trees
from cellhouse_kernel.privileges import KERNEL_UID

from tests.preloaded import PreloadedLauncher
from tests.with_executor import PATIENCE_SECONDS, Frames, request
from tests.with_files import fork_as_agent

HOME = Path(pwd.getpwuid(KERNEL_UID).pw_dir)
BUFFER_BYTES = 1_000_000
# Ends as soon as the other kernel has made the file.
WAIT = """
import os, time
print("waiting", flush=True)
while not os.path.exists("/tmp/{0}"): time.sleep(0.01)
"""
GO = "open('/tmp/{0}', 'w').close()\n"
THREAD = """
import threading
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
"""


class LaneTest(Frames):
    """A worker with two kernels, without its socket and its executor."""

    async def asyncSetUp(self) -> None:
        self.helper = FilesHelper(fork_as_agent())
        self.home = HomeWatch(self.helper)
        self.buffer = ReplayBuffer(BUFFER_BYTES)
        self.ended: list[str] = []
        self.launcher = PreloadedLauncher()
        self.launcher.start()
        writer = FrameWriter(self.buffer, "boot", 16_777_216)
        trees = Trees(find_usage())
        parts = SharedParts(
            writer, trees, self.home, self.ended.append, self.quiet_kernels, Inputs()
        )
        self.lanes = [Lane(parts), Lane(parts)]
        self.left, self.right = self.lanes
        self.kernels = [Kernel(self.launcher, 16_777_216, lane.on_message) for lane in self.lanes]
        for kernel in self.kernels:
            await kernel.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.helper.wait_ready()
        pairs = zip(self.lanes, self.kernels, strict=True)
        self.work = [asyncio.create_task(lane.run(kernel)) for lane, kernel in pairs]
        # After these executions, the helper knows the files that the starting kernels have made in the home.
        for lane in self.lanes:
            await self.run_in(lane, f"first {id(lane)}", "1")

    async def asyncTearDown(self) -> None:
        for work in self.work:
            work.cancel()
        await asyncio.wait(self.work)
        for kernel in self.kernels:
            await kernel.end()
        await self.launcher.close()
        await self.home.close()
        await self.helper.close()
        for path in (*HOME.glob("*.txt"), *Path("/tmp").glob("go-*")):
            path.unlink()

    def quiet_kernels(self) -> frozenset[int | None]:
        """The processes of the kernels that run no code."""
        return frozenset(lane.process_id for lane in self.lanes if lane.is_quiet)

    async def run_in(self, lane: Lane, msg_id: str, code: str) -> dict[str, Any]:
        """Run code; returns the report."""
        lane.submit(request(msg_id, code))
        return await self.report(msg_id)

    async def report(self, msg_id: str) -> dict[str, Any]:
        """The report on an execution, once it has ended."""
        return dict((await self.reply(msg_id))["metadata"]["cellhouse"])

    def text(self, msg_id: str) -> str:
        """What an execution has printed."""
        return "".join(frame["content"].get("text", "") for frame in self.frames(msg_id))

    async def test_each_lane_has_its_own_variables_and_output_while_both_run(self) -> None:
        await self.run_in(self.left, "l1", "x = 'left'")
        await self.run_in(self.right, "r1", "x = 'right'")
        self.left.submit(request("l2", WAIT.format("go-l") + GO.format("go-r") + "print(x)"))
        self.right.submit(request("r2", GO.format("go-l") + WAIT.format("go-r") + "print(x)"))
        for msg_id, name in (("l2", "left"), ("r2", "right")):
            self.assertEqual((await self.report(msg_id))["outcome"], "finished")
            self.assertEqual(self.text(msg_id), f"waiting\n{name}\n")
        self.assertEqual(sorted(self.ended[2:]), ["l1", "l2", "r1", "r2"])

    async def test_an_interrupt_and_a_full_queue_affect_one_lane_only(self) -> None:
        self.left.submit(request("l", "import time; time.sleep(50)"))
        self.right.submit(request("r", WAIT.format("go-r")))
        await self.printed("r", "waiting")
        for number in range(MAX_QUEUED_REQUESTS):
            self.left.submit(request(f"queued {number}", "pass"))
        self.assertEqual((self.left.is_full, self.right.is_full), (True, False))
        self.left.interrupt("l", True)
        self.assertEqual((await self.report("l"))["outcome"], "interrupted")
        self.assertEqual(self.right.state, "busy")
        (Path("/tmp") / "go-r").touch()
        self.assertEqual((await self.report("r"))["outcome"], "finished")
        await self.report(f"queued {MAX_QUEUED_REQUESTS - 1}")
        self.assertEqual((self.left.generation, self.right.generation), (1, 1))

    async def test_a_kernel_cannot_forge_output_of_an_execution_in_the_other_lane(self) -> None:
        self.right.submit(request("r", WAIT.format("go-r")))
        await self.printed("r", "waiting")
        forgery = (
            "k = get_ipython().kernel\n"
            "k.session.send(k.iopub_socket, 'stream', {'name': 'stdout', 'text': 'forged'},"
            " parent={'header': {'msg_id': 'r'}})\n"
        )
        await self.run_in(self.left, "l", forgery + GO.format("go-r"))
        await self.report("r")
        self.assertEqual(self.text("r"), "waiting\n")
        self.assertGreaterEqual(self.left.stray_messages, 1)

    async def test_a_flood_leaves_room_for_the_other_lane(self) -> None:
        self.right.submit(request("r", WAIT.format("go-r") + "print('y' * 100_000)"))
        await self.printed("r", "waiting")
        flood = "for n in range(20_000): print('x' * 100)\n"
        flooded = await self.run_in(self.left, "l", flood + GO.format("go-r"))
        self.assertGreater(flooded["dropped_bytes"], BUFFER_BYTES)
        self.assertEqual((await self.report("r"))["dropped_bytes"], 0)

    async def test_both_executions_report_the_files_that_changed_while_they_ran(self) -> None:
        write = "open('{0}.txt', 'w').close()\n"
        self.right.submit(request("r", write.format("r") + WAIT.format("go-r")))
        await self.printed("r", "waiting")
        files = (await self.run_in(self.left, "l", write.format("l")))["files"]
        self.assertEqual((files["reason"], files["shared"]), (None, True))
        self.assertEqual([change["path"] for change in files["changes"]], ["l.txt", "r.txt"])
        (Path("/tmp") / "go-r").touch()
        self.assertEqual((await self.report("r"))["files"], files)
        alone = (await self.run_in(self.left, "l2", write.format("l2")))["files"]
        self.assertEqual(([alone["changes"][0]["path"]], alone["shared"]), (["l2.txt"], False))

    async def test_an_idle_kernel_that_runs_a_thread_makes_changes_shared(self) -> None:
        await self.run_in(self.right, "r1", THREAD)
        self.assertTrue((await self.run_in(self.left, "l1", "1"))["files"]["shared"])
        await self.run_in(self.right, "r2", "stop.set(); thread.join()")
        self.assertFalse((await self.run_in(self.left, "l2", "1"))["files"]["shared"])
