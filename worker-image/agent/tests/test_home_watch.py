"""The changed files that replies report: with a real kernel and a real helper, as root in the worker image."""

import asyncio
import os
import pwd
import signal
from pathlib import Path
from typing import Any
from unittest import mock

from cellhouse_agent.executions.executor import Executor
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.frames import FrameWriter, ReplayBuffer
from cellhouse_agent.home import HomeWatch
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.usage.container import find_usage
from cellhouse_files import home_tree
from cellhouse_kernel.privileges import KERNEL_UID

from tests.preloaded import PreloadedLauncher
from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_executor import PATIENCE_SECONDS, SHORT_GRACE_MS, WithExecutor, request
from tests.with_files import WithFiles, fork_as_agent, helpers

HOME = Path(pwd.getpwuid(KERNEL_UID).pw_dir)
# Removes everything, so that each test begins with the same home.
CLEAN = "import pathlib, shutil\nfor p in pathlib.Path.home().iterdir(): shutil.rmtree(p) if p.is_dir() else p.unlink()"
# In place of MAX_ENTRIES; more than MAX_CHANGES.
FEW_ENTRIES = 1_500
BACKGROUND = """
import pathlib, threading, time
stop = threading.Event()
def write():
    n = 0
    while not stop.wait(0.01):
        n += 1
        pathlib.Path("background").write_text(str(n))
thread = threading.Thread(target=write)
thread.start()
"""


class HomeWatchTest(WithExecutor):
    """A worker without its socket, but with a helper."""

    async def asyncSetUp(self) -> None:
        self.count = 0
        self.enterContext(mock.patch.object(home_tree, "MAX_ENTRIES", FEW_ENTRIES))
        self.helper = FilesHelper(fork_as_agent())
        self.home = HomeWatch(self.helper)
        self.buffer = ReplayBuffer(10_000_000)
        writer = FrameWriter(self.buffer, "boot", 16_777_216)
        self.executor = Executor(self.buffer, writer, find_usage(), self.home)
        self.launcher = PreloadedLauncher()
        self.launcher.start()
        self.kernel = Kernel(self.launcher, 16_777_216, self.executor.on_message)
        await self.kernel.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.helper.wait_ready()
        self.work = asyncio.create_task(self.executor.run(self.kernel))
        await self.files(CLEAN)

    async def asyncTearDown(self) -> None:
        await super().asyncTearDown()
        await self.home.close()
        await self.helper.close()

    async def report(self, code: str, **limits: int) -> dict[str, Any]:
        """Run code; returns the part of its reply about files."""
        self.count += 1
        await self.run_code(str(self.count), code, **limits)
        reply = await self.reply(str(self.count))
        return dict(reply["metadata"]["cellhouse"]["files"])

    async def files(self, code: str, is_shared: bool = False) -> dict[str, str]:
        """Run code; returns what it changed, by path."""
        report = await self.report(code)
        self.assertEqual((report["reason"], report["shared"]), (None, is_shared))
        return {change["path"]: change["change"] for change in report["changes"]}

    async def upload(self, name: str) -> None:
        """Write a file as the API does."""
        answer = await self.helper.ask("write", {"path": name})
        os.write(answer.descriptor or -1, b"from the API")
        os.close(answer.descriptor or -1)
        await self.helper.ask("finish_write", {"writing": answer.fields["writing"]})

    async def test_an_execution_reports_the_files_that_it_changed(self) -> None:
        self.assertEqual(await self.files("1 + 1"), {})
        self.assertEqual(await self.files("open('a', 'w').write('1')"), {"a": "created"})
        self.assertEqual(await self.files("open('a', 'w').write('12')"), {"a": "modified"})
        self.assertEqual(await self.files("open('a').read()"), {})
        moved = await self.files("import os; os.rename('a', 'b')")
        self.assertEqual(moved, {"a": "deleted", "b": "created"})
        report = await self.report("open('b', 'a').write('3')")
        (change,) = report["changes"]
        self.assertEqual(change["size"], 3)
        self.assertEqual(change["modified_at"], (HOME / "b").stat().st_mtime_ns // 1_000_000)

    async def test_an_execution_that_fails_or_is_interrupted_reports_changes_too(self) -> None:
        self.assertEqual(await self.files("open('a', 'w'); 1 / 0"), {"a": "created"})
        loop = "open('b', 'w'); print('on')\nwhile True: pass"
        self.executor.submit(request("loop", loop, LIMIT_MS))
        await self.printed("loop", "on")
        pass_limit()
        files = (await self.reply("loop"))["metadata"]["cellhouse"]["files"]
        self.assertEqual([change["path"] for change in files["changes"]], ["b"])

    async def test_a_file_of_the_api_is_no_change_of_the_next_execution(self) -> None:
        await self.upload("in.csv")
        self.assertEqual(await self.files("open('in.csv').read()"), {})
        await self.helper.ask("move", {"from": "in.csv", "to": "in2.csv"})
        self.assertEqual(await self.files("open('out.csv', 'w')"), {"out.csv": "created"})
        await self.helper.ask("delete", {"path": "in2.csv"})
        self.assertEqual(await self.files("1 + 1"), {})

    async def test_changes_that_the_api_makes_meanwhile_are_shared(self) -> None:
        until = "while not os.path.exists('theirs'): time.sleep(0.01)"
        self.executor.submit(request("during", f"import os, time; open('mine', 'w')\n{until}"))
        await self.started("during")
        await self.upload("theirs")
        files = (await self.reply("during"))["metadata"]["cellhouse"]["files"]
        self.assertTrue(files["shared"])
        self.assertEqual([change["path"] for change in files["changes"]], ["mine"])
        self.assertEqual(await self.files("1 + 1"), {})

    async def test_threads_tasks_and_processes_of_earlier_code_make_changes_shared(self) -> None:
        await self.report(BACKGROUND)
        changed = await self.files("import time; time.sleep(0.1)", is_shared=True)
        self.assertIn("background", changed)
        await self.report("stop.set(); thread.join()")
        self.assertEqual(await self.files("1 + 1"), {})
        sleep = "import subprocess; child = subprocess.Popen(['sleep', '50'])"
        self.assertFalse((await self.report(sleep))["shared"])
        self.assertTrue((await self.report("1 + 1"))["shared"])
        await self.report("child.kill(); child.wait()")
        self.assertEqual(await self.files("1 + 1"), {})
        await self.report("import asyncio; task = asyncio.create_task(asyncio.sleep(50))")
        self.assertTrue((await self.report("1 + 1"))["shared"])

    async def test_a_killed_kernel_reports_a_reason_instead_of_changes(self) -> None:
        unknown = {"changes": None, "reason": "kernel_replaced", "shared": False}
        killed = "import os; open('a', 'w'); os.kill(os.getpid(), 9)"
        self.assertEqual(await self.report(killed), unknown)
        self.assertEqual(await self.files("open('b', 'w')"), {"b": "created"})
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on')"
        code = f"{deaf}\nwhile True: pass"
        self.executor.submit(request("deaf", code, LIMIT_MS, SHORT_GRACE_MS))
        await self.printed("deaf", "on")
        pass_limit()
        self.assertEqual((await self.reply("deaf"))["metadata"]["cellhouse"]["files"], unknown)
        self.assertEqual(await self.files("1 + 1"), {})

    async def test_after_too_many_changes_the_next_execution_reports_its_own_again(self) -> None:
        many = "for n in range(1_200): open(str(n), 'w').close()"
        report = await self.report(many)
        self.assertIsNone(report["changes"])
        self.assertIn(report["reason"], ("too_slow", "too_many_changes"))
        self.assertEqual(await self.files("open('7', 'w').write('1')"), {"7": "modified"})
        more = "import os; os.makedirs('d'); [open(f'd/{n}', 'w').close() for n in range(400)]"
        self.assertIsNone((await self.report(more))["changes"])
        report = await self.report("1 + 1")
        self.assertEqual(report["reason"], "too_many_entries")
        await self.report(CLEAN)
        await asyncio.sleep(1)
        await self.report("open('a', 'w')")
        self.assertEqual(await self.files("open('b', 'w')"), {"b": "created"})

    async def test_a_killed_helper_is_replaced_by_one_that_finds_changes(self) -> None:
        for pid in helpers():
            os.kill(pid, signal.SIGKILL)
        # The code changes a file: before the agent notices the helper's end, it would report no changes for other code.
        change = "open('a', 'w').write('1')"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (report := await self.report(change))["reason"] == "helper_away":
                await asyncio.sleep(0.01)
        self.assertEqual((report["reason"], report["shared"]), (None, False))
        self.assertEqual([change["path"] for change in report["changes"]], ["a"])
        self.assertEqual(await self.files("open('b', 'w')"), {"b": "created"})

    async def test_executions_that_end_together_share_a_look(self) -> None:
        ask = mock.AsyncMock(wraps=self.helper.ask)
        with mock.patch.object(self.helper, "ask", ask):
            first = self.home.begin(frozenset())
            looking = asyncio.create_task(self.home.scan(first))
            await asyncio.sleep(0)
            # These executions end during a look that may have missed their last changes.
            others = [self.home.begin(frozenset()) for _ in range(16)]
            (HOME / "late").touch()
            looks = (self.home.scan(other) for other in others)
            reports: list[Any] = await asyncio.gather(*looks)
            await looking
        for report in reports:
            self.assertEqual([change["path"] for change in report["changes"] or []], ["late"])
        asked = [call.args[0] for call in ask.await_args_list]
        self.assertEqual(asked.count("look_for_changes"), 2)

    async def test_a_restart_during_a_look_waits_for_it(self) -> None:
        self.executor.submit(request("during", "open('a', 'w')"))
        await self.executor.restart()
        files = (await self.reply("during"))["metadata"]["cellhouse"]["files"]
        self.assertIn(files["reason"], (None, "kernel_replaced"))
        self.assertIn("a", {*await self.files("open('a', 'w').write('2')")})


class ClosedTest(WithFiles):
    """A watch without executions."""

    async def test_a_closed_watch_renews_no_more(self) -> None:
        for has_begun in (False, True):
            with self.subTest(has_begun=has_begun):
                home = HomeWatch(self.helper)
                home.renew()
                if has_begun:
                    await asyncio.sleep(0)
                # A renewal that is asked for while another runs would follow it if the watch were not closed.
                home.renew()
                await home.close()
                self.assertFalse(home.is_renewing)
                home.renew()
                self.assertFalse(home.is_renewing)
