"""Contexts as a gateway asks for them, with real kernels: run as root in the worker image."""

import asyncio
import errno
import os
import signal
import tempfile
from typing import Any
from unittest import mock

from cellhouse_agent.executions import contexts
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.gateway.requests import Context, ExecuteRequest
from cellhouse_agent.gateway.server import serve
from cellhouse_agent.kernel.launcher import FORK_TIMEOUT_SECONDS
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_agent.services import Services
from cellhouse_agent.usage.container import find_usage

from tests.with_executor import LONG_GRACE_MS, PATIENCE_SECONDS, WithExecutor, request
from tests.with_files import fork_as_agent
from tests.with_socket import Socket

NAMES = ("one", "two", "three")
COUNT = "import os, time\nn = globals().get('n', 0) + 1; print(n, flush=True)\n"
# Ends when the cells of all three contexts have begun.
TOGETHER = """
import os, time
open(f"/tmp/begun-{0}-{1}", "w").close()
while not all(os.path.exists(f"/tmp/begun-{0}-{{name}}") for name in ("one", "two", "three")): time.sleep(0.01)
"""
SLEEP = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(50)"


class ContextsTest(WithExecutor, Socket):
    """A worker with its socket."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "agent.sock")
        files = FilesHelper(fork_as_agent())
        self.addAsyncCleanup(files.close)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await files.wait_ready()
        gate = GatewayGate(asyncio.get_running_loop().time)
        services = Services("boot", self.executor, self.buffer, gate, find_usage(), files)
        self.addCleanup(serve(self.path, services))

    async def asyncTearDown(self) -> None:
        for name in NAMES:
            await self.executor.contexts.delete(name)
        await super().asyncTearDown()

    def submit(self, msg_id: str, code: str, context: str | None) -> None:
        """Submit code that runs in a context."""
        where = Context(context, None) if context else None
        header = {"msg_id": msg_id}
        limits = (30_000, LONG_GRACE_MS, 1_000_000)
        self.executor.submit(ExecuteRequest(msg_id, code, {**header}, *limits, where))

    async def run_in(self, context: str | None, msg_id: str, code: str) -> tuple[str, str]:
        """Run code in a context; returns the outcome, and what it printed."""
        self.submit(msg_id, code, context)
        report = (await self.reply(msg_id))["metadata"]["cellhouse"]
        return report["outcome"], self.text(msg_id)

    def text(self, msg_id: str) -> str:
        """What an execution has printed."""
        return "".join(frame["content"].get("text", "") for frame in self.frames(msg_id))

    def facts(self, msg_type: str) -> list[dict[str, Any]]:
        """The contents of the frames of this type that belong to no execution."""
        frames = self.all_frames()
        unrelated = [frame for frame in frames if not frame["parent_header"]]
        return [f["content"] for f in unrelated if f["header"]["msg_type"] == msg_type]

    async def test_contexts_have_variables_of_their_own_while_all_run(self) -> None:
        for turn in range(3):
            for name in NAMES:
                self.submit(f"{name} {turn}", COUNT + TOGETHER.format(turn, name), name)
            await self.run_in(None, f"default {turn}", COUNT)
            for name in (*NAMES, "default"):
                await self.reply(f"{name} {turn}")
                self.assertEqual(self.text(f"{name} {turn}"), f"{turn + 1}\n")
        status, health = await self.ask("GET", "/health")
        self.assertEqual(status, 200)
        expected = [{"id": name, "kernel": "idle", "kernel_generation": 1} for name in NAMES]
        self.assertEqual(health["contexts"], expected)

    async def test_a_new_context_reports_that_it_is_ready_and_begins_in_its_folder(self) -> None:
        ask = {"context_id": "one", "working_directory": "/home/user/work"}
        self.assertEqual((await self.call("contexts", **ask))[0], 404)
        await self.run_in(None, "1", "import os; os.makedirs('work', exist_ok=True)")
        await self.run_in(None, "2", "open('file', 'w').close()")
        status, answer = await self.call("contexts", **{**ask, "working_directory": "file"})
        self.assertEqual((status, answer["error"]), (400, "bad_request"))
        file = {**ask, "working_directory": "/home/user/file"}
        self.assertEqual((await self.call("contexts", **file))[1]["error"], "not_a_directory")
        for _ in range(2):
            self.assertEqual(await self.call("contexts", **ask), (200, {"kernel_generation": 1}))
        (fact,) = self.facts("cellhouse_context")
        self.assertGreater(fact.pop("ready_ms"), 0)
        self.assertEqual(fact, {"context_id": "one", "state": "ready", "kernel_generation": 1})
        where = "import os; print(os.getcwd())"
        self.assertEqual((await self.run_in("one", "3", where))[1], "/home/user/work\n")
        restarted = await self.call("restart", context_id="one")
        self.assertEqual(restarted, (200, {"kernel_generation": 2}))
        self.assertEqual((await self.run_in("one", "4", where))[1], "/home/user/work\n")
        await self.run_in(None, "5", "os.rmdir('work'); os.remove('file')")
        await self.call("restart", context_id="one")
        self.assertEqual((await self.run_in("one", "6", where))[1], "/home/user\n")

    async def test_the_restart_or_death_of_a_kernel_affects_no_other_context(self) -> None:
        for name in (*NAMES, None):
            await self.run_in(name, f"{name} 1", COUNT)
        self.submit("sleep", SLEEP, "one")
        await self.started("sleep")
        restarted = await self.call("restart", context_id="one")
        self.assertEqual(restarted, (200, {"kernel_generation": 2}))
        report = (await self.reply("sleep"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("interrupted", True))
        self.assertEqual((await self.run_in("two", "die", "os._exit(3)"))[0], "kernel_died")
        ran = [(await self.run_in(name, f"{name} 2", COUNT))[1] for name in (*NAMES, None)]
        self.assertEqual(ran, ["1\n", "1\n", "2\n", "2\n"])
        self.assertEqual(len(list(user_processes())), 4)
        restarts = [(f["reason"], f.get("context_id")) for f in self.facts("status")]
        self.assertEqual(restarts, [("user", "one"), ("died", "two")])
        self.assertEqual(await self.call("restart"), (200, {"kernel_generation": 2}))
        self.assertEqual((await self.run_in("three", "three 3", COUNT))[1], "3\n")

    async def test_a_deleted_context_ends_with_all_its_processes(self) -> None:
        for name in NAMES:
            await self.run_in(name, f"{name} 1", COUNT)
        self.submit("sleep", SLEEP, "one")
        self.submit("queued", "1", "one")
        await self.started("sleep")
        deletion = {"context_id": "one", "request_id": "r"}
        self.assertEqual(await self.call("delete_context", **deletion), (200, {"deleted": True}))
        self.assertEqual(len(list(user_processes())), 3)
        for msg_id in ("sleep", "queued"):
            report = (await self.reply(msg_id))["metadata"]["cellhouse"]
            self.assertEqual(report["outcome"], "interrupted")
        ended = {"context_id": "one", "state": "ended", "kernel_generation": 1, "ready_ms": None}
        self.assertEqual(self.facts("cellhouse_context")[-1], ended)
        self.assertEqual(self.facts("status"), [])
        self.assertEqual(await self.call("delete_context", **deletion), (200, {"deleted": True}))
        again = await self.call("delete_context", context_id="one")
        self.assertEqual(again, (200, {"deleted": False}))
        # A request that the gateway sent before it knew of the deletion never runs.
        self.assertEqual(await self.run_in("one", "late", "print(1)"), ("interrupted", ""))
        for name in ("contexts", "restart"):
            refused = await self.call(name, context_id="one")
            self.assertEqual(refused, (404, {"error": "no_context"}))
        self.assertEqual((await self.run_in("two", "two 2", COUNT))[1], "2\n")

    async def test_a_request_during_the_deletion_of_its_context_is_answered_without_running(
        self,
    ) -> None:
        await self.run_in("one", "1", COUNT)
        deletion = asyncio.create_task(self.executor.contexts.delete("one"))
        await asyncio.sleep(0)
        self.assertEqual(self.facts("cellhouse_context")[-1]["state"], "ready")
        self.assertEqual(await self.run_in("one", "2", COUNT), ("interrupted", ""))
        self.assertTrue(await deletion)

    async def test_deleting_a_context_does_not_wait_for_the_start_of_its_kernel(self) -> None:
        os.kill(self.launcher.fork_server_pid, signal.SIGSTOP)
        self.submit("queued", COUNT, "one")
        made = asyncio.create_task(self.call("contexts", context_id="one"))
        restarted = asyncio.create_task(self.call("restart", context_id="one"))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(FORK_TIMEOUT_SECONDS / 2):
            self.assertTrue(await self.executor.contexts.delete("one"))
        for answer in (made, restarted, self.call("restart", context_id="one")):
            self.assertEqual(await answer, (404, {"error": "no_context"}))
        report = (await self.reply("queued"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["started_at"]), ("interrupted", None))
        states = [fact["state"] for fact in self.facts("cellhouse_context")]
        self.assertEqual(states, ["ended"])

    async def test_deleting_a_context_does_not_wait_for_a_restart_of_its_kernel(self) -> None:
        await self.run_in("one", "1", COUNT)
        os.kill(self.launcher.fork_server_pid, signal.SIGSTOP)
        restarted = asyncio.create_task(self.call("restart", context_id="one"))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(FORK_TIMEOUT_SECONDS / 2):
            self.assertTrue(await self.executor.contexts.delete("one"))
        self.assertEqual(await restarted, (404, {"error": "no_context"}))
        states = [fact["state"] for fact in self.facts("cellhouse_context")]
        self.assertEqual(states, ["ready", "ended"])

    async def test_a_context_deleted_at_any_moment_of_its_start_leaves_nothing(self) -> None:
        for number in range(30):
            name = f"n{number}"
            self.executor.contexts.lane(Context(name, None))
            await asyncio.sleep(number / 500)
            self.assertTrue(await self.executor.contexts.delete(name))
            facts = [f for f in self.facts("cellhouse_context") if f["context_id"] == name]
            self.assertIn([fact["state"] for fact in facts], (["ended"], ["ready", "ended"]))
        self.assertEqual(self.executor.contexts.lanes, [])
        # A kernel that is half made ends by itself.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(list(user_processes())) > 1:
                await asyncio.sleep(0.01)

    async def test_each_context_gets_the_variables_of_the_session(self) -> None:
        await self.run_in("one", "1", "import os")
        await self.call("variables", variables={"A": "1"})
        await self.run_in("two", "2", "import os")
        for name in ("one", "two", None):
            printed = await self.run_in(name, f"{name}", "import os; print(os.environ['A'])")
            self.assertEqual(printed, ("finished", "1\n"))

    async def test_an_interrupt_finds_an_execution_in_any_context(self) -> None:
        for name in ("one", "two"):
            self.submit(name, "import time; time.sleep(50)", name)
            await self.started(name)
        self.assertEqual(self.executor.interrupt("two", "r"), (True, True))
        report = (await self.reply("two"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("interrupted", False))
        self.assertEqual(self.executor.interrupt("one", "r2"), (True, True))
        await self.reply("one")

    async def test_a_context_beyond_the_limit_is_refused(self) -> None:
        with mock.patch.object(contexts, "MAX_CONTEXTS", 1):
            self.assertEqual((await self.call("contexts", context_id="one"))[0], 200)
            refused = await self.call("contexts", context_id="two")
            self.assertEqual(refused, (429, {"error": "too_many_contexts"}))

    async def test_a_context_whose_kernel_cannot_be_started_fails_and_can_be_retried(self) -> None:
        no_process = OSError(errno.EAGAIN, "no process")
        with mock.patch.object(self.launcher, "launch", side_effect=no_process):
            self.submit("1", COUNT, "one")
            reply = await self.reply("1")
            self.assertEqual(reply["content"]["ename"], "KernelUnavailable")
            self.assertEqual(reply["metadata"]["cellhouse"]["started_at"], None)
            refused = await self.call("contexts", context_id="two")
            self.assertEqual(refused, (503, {"error": "no_kernel"}))
        states = [fact["state"] for fact in self.facts("cellhouse_context")]
        self.assertEqual(states, ["failed", "failed"])
        self.assertEqual((await self.run_in("one", "2", COUNT))[1], "1\n")
        self.executor.submit(request("3", "print('default')"))
        await self.reply("3")
        self.assertEqual(self.text("3"), "default\n")

    async def test_the_default_context_can_be_retried_when_its_kernel_cannot_be_started(
        self,
    ) -> None:
        await self.run_in("one", "1", COUNT)
        no_process = OSError(errno.EAGAIN, "no process")
        with mock.patch.object(self.launcher, "launch", side_effect=no_process):
            self.assertEqual(
                (await self.run_in(None, "2", "import os; os._exit(3)"))[0], "kernel_died"
            )
            for msg_id in ("3", "4"):
                self.submit(msg_id, COUNT, None)
                reply = await self.reply(msg_id)
                self.assertEqual(reply["content"]["ename"], "KernelUnavailable")
            refused = await self.call("restart")
            self.assertEqual(refused, (503, {"error": "no_kernel"}))
            self.assertEqual((await self.run_in("one", "5", COUNT))[1], "2\n")
        self.submit("6", COUNT, None)
        report = (await self.reply("6"))["metadata"]["cellhouse"]
        self.assertEqual((report["state_lost"], self.text("6")), (True, "1\n"))
        restarts = [(f["reason"], f.get("context_id")) for f in self.facts("status")]
        self.assertEqual(restarts, [("died", None)])
