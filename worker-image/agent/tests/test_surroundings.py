"""Variables and folder that only one execution has: run as root in the worker image."""

import asyncio
import json
import os
import shutil
from typing import Any

from cellhouse_agent.gateway.requests import ExecuteRequest, Surroundings
from cellhouse_agent.kernel.launcher import kernel_environment
from cellhouse_kernel import surroundings

from tests.with_executor import LONG_GRACE_MS, WithExecutor

HOME = "/home/user"
# Variables that run code in every process that has them.
HOSTILE = {"LD_PRELOAD": "/tmp/never.so", "PYTHONPATH": "/tmp/never", "BASH_ENV": "/tmp/never.sh"}
VARIABLES = {
    "TOKEN": "s3cret = \"'\\ 漢\n\t\x01",
    "TZ": "Asia/Tokyo",
    "EMPTY": "",
    "__proto__": "own",
    "LARGE": "x" * 100_000,
    **HOSTILE,
}
# Prints, as JSON, what the process itself, a thread, a forked child and a program find.
SEEN = """
import json, os, subprocess, sys, threading, time
names = %r
def look():
    return [{n: os.environ.get(n) for n in names}, os.getcwd(), time.tzname[0]]
found = {"cell": look()}
thread = threading.Thread(target=lambda: found.update(thread=look()))
thread.start(); thread.join()
reading, writing = os.pipe()
if not os.fork():
    os.write(writing, json.dumps(look()).encode()); os._exit(0)
os.close(writing)
found["fork"] = json.load(open(reading))
program = "import json, os, sys; print(json.dumps([dict(os.environ), os.getcwd()]))"
env, folder = json.loads(subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True).stdout)
found["program"] = [{n: env.get(n) for n in names}, folder, found["cell"][2]]
print(json.dumps(found))
"""
LOOK = SEEN % list(VARIABLES)
LOOK_HERE = "import os; print(os.getcwd(), os.environ.get('A'))"
SHAPE = "import inspect, traceback\nprint([(f.function, f.lineno) for f in inspect.stack()])\n"
FAILS = SHAPE + "def deep(n):\n    return 1 / n if n == 0 else deep(n - 1)\ndeep(3)"


def found_in(text: str) -> dict[str, Any]:
    """The JSON that LOOK has printed. On other lines, Python warns of the fork, and the loader warns of LD_PRELOAD."""
    return dict(json.loads(next(line for line in text.splitlines() if line.startswith('{"'))))


class SurroundingsTest(WithExecutor):
    """With a real kernel."""

    def submit(
        self, msg_id: str, code: str, environment: dict[str, str], directory: str | None = None
    ) -> None:
        """Submit code that runs in surroundings of its own."""
        found = Surroundings(environment, directory)
        limits = (30_000, LONG_GRACE_MS, 1_000_000)
        self.executor.submit(
            ExecuteRequest(msg_id, code, {"msg_id": msg_id}, *limits, surroundings=found)
        )

    async def run_with(
        self, msg_id: str, code: str, environment: dict[str, str], directory: str | None = None
    ) -> tuple[dict[str, Any], str]:
        """Run code in surroundings of its own; returns the reply, and what it printed."""
        self.submit(msg_id, code, environment, directory)
        reply = await self.reply(msg_id)
        texts = [frame["content"].get("text", "") for frame in self.frames(msg_id)]
        return reply["content"], "".join(texts)

    async def folder(self, name: str) -> str:
        """A fresh folder of the user's in the home."""
        path = f"{HOME}/{name}"
        await self.run_code(f"makes {name}", f"import os; os.makedirs({path!r}, exist_ok=True)")
        self.addCleanup(shutil.rmtree, path, True)
        return path

    async def shown(self, msg_id: str, code: str) -> str:
        """Run code without surroundings; returns what it printed."""
        _, text = await self.run_code(msg_id, code)
        return text.strip()

    async def test_code_and_its_processes_have_surroundings_and_the_next_code_has_not(self) -> None:
        self.executor.set_variables({"EMPTY": "of the session"})
        before = found_in(await self.shown("before", LOOK))
        work = await self.folder("work")
        _, text = await self.run_with("with", LOOK, VARIABLES, work)
        found = found_in(text)
        for who in ("cell", "thread", "fork", "program"):
            self.assertEqual(found[who], [VARIABLES, work, "JST"], who)
        after = found_in(await self.shown("after", LOOK))
        self.assertEqual(after, before)
        self.assertEqual(after["program"][0]["EMPTY"], "of the session")
        self.assertEqual(after["cell"][1:], [HOME, "UTC"])
        # This process stands in for the agent. It has none of the variables, and gives its kernels none.
        mine = {*os.environ, *kernel_environment(1)} - {"TZ"}
        self.assertEqual(mine & VARIABLES.keys(), set())
        parent = "print(get_ipython().kernel.get_parent())"
        _, text = await self.run_with("asks for its request", parent, {"TOKEN": "s3cret"})
        self.assertNotIn("s3cret", text)

    async def test_an_error_is_shown_the_same_with_and_without_surroundings(self) -> None:
        shown = []
        for directory in (None, await self.folder("fails")):
            await self.executor.restart()
            msg_id = f"fails in {directory}"
            if directory:
                await self.run_with(msg_id, FAILS, {"A": "1"}, directory)
            else:
                await self.run_code(msg_id, FAILS)
            frames = [
                f for f in self.frames(msg_id) if f["header"]["msg_type"] in ("stream", "error")
            ]
            shown.append([frame["content"] for frame in frames])
        self.assertEqual(shown[0], shown[1])
        self.assertIn("ZeroDivisionError", json.dumps(shown[1]))
        self.assertEqual(await self.shown("after", LOOK_HERE), f"{HOME} None")

    async def test_code_that_awaits_has_surroundings_too(self) -> None:
        work = await self.folder("awaits")
        code = "import asyncio\nawait asyncio.sleep(0.01)\n" + LOOK_HERE
        _, text = await self.run_with("awaits", code, {"A": "1"}, work)
        self.assertEqual(text, f"{work} 1\n")
        self.assertEqual(await self.shown("after", LOOK_HERE), f"{HOME} None")

    async def test_surroundings_are_undone_when_running_code_is_interrupted(self) -> None:
        work = await self.folder("middle")
        for wait in ("time.sleep(60)", "await asyncio.sleep(60)"):
            code = f"import asyncio, time\nprint('begun')\n{wait}"
            self.submit(wait, code, {"A": "1"}, work)
            await self.printed(wait, "begun")
            self.executor.interrupt(wait)
            self.assertEqual(
                (await self.reply(wait))["metadata"]["cellhouse"]["outcome"], "interrupted"
            )
            self.assertEqual(await self.shown(f"after {wait}", LOOK_HERE), f"{HOME} None")

    async def test_surroundings_are_undone_by_an_interrupt_at_any_time(self) -> None:
        work = await self.folder("any")
        for number in range(40):
            msg_id = f"interrupted {number}"
            self.submit(
                msg_id, "import time; time.sleep(0.02)", {"A": "1", "TZ": "Asia/Tokyo"}, work
            )
            await self.started(msg_id)
            await asyncio.sleep(number / 4_000)
            # Two interrupts, because the second one ends even the preparation of the code.
            self.kernel.interrupt()
            self.kernel.interrupt()
            await self.reply(msg_id)
            look = LOOK_HERE + "; import time; print(time.tzname[0])"
            self.assertEqual(await self.shown(f"after {number}", look), f"{HOME} None\nUTC")

    async def test_a_fresh_kernel_has_no_surroundings(self) -> None:
        work = await self.folder("dies")
        self.submit("dies", "import os; os._exit(3)", {"A": "1"}, work)
        self.assertEqual(
            (await self.reply("dies"))["metadata"]["cellhouse"]["outcome"], "kernel_died"
        )
        self.assertEqual(await self.shown("after", LOOK_HERE), f"{HOME} None")

    async def test_changes_of_surroundings_are_undone_and_other_changes_stay(self) -> None:
        await self.shown("before", "import os; os.environ.update(A='old', B='old')")
        work, other = await self.folder("own"), await self.folder("other")
        code = f"""
import os
assert os.environ["A"] == os.environ["NEW"] == "1"
os.environ["A"] = "changed"; del os.environ["NEW"]
os.environ.update(B="changed", C="changed")
os.chdir({other!r})
"""
        await self.run_with("changes", code, {"A": "1", "NEW": "1"}, work)
        names = "import os; print([os.environ.get(n) for n in ('A', 'B', 'C', 'NEW')], os.getcwd())"
        after = "['old', 'changed', 'changed', None]"
        self.assertEqual(await self.shown("after", names), f"{after} {HOME}")
        # If the surroundings have no folder, the code's own change of the folder stays.
        await self.run_with("goes", f"import os; os.chdir({other!r})", {"A": "1"})
        self.assertEqual(await self.shown("there", names), f"{after} {other}")

    async def test_the_kernel_returns_to_its_folder_even_if_that_was_deleted(self) -> None:
        here, work = await self.folder("here"), await self.folder("deleted")
        inode = "import os; print(os.stat('.').st_ino)"
        await self.shown("enters", f"import os; os.chdir({here!r}); os.rmdir({here!r})")
        before = await self.shown("before", inode)
        _, text = await self.run_with(
            "leaves", f"import os; print(os.getcwd()); os.rmdir({work!r})", {}, work
        )
        self.assertEqual(text, f"{work}\n")
        self.assertEqual(await self.shown("after", inode), before)
        with self.subTest("there is none to go back to"):
            close = """
import os
for n in range(3, 200):
    try:
        if os.readlink(f"/proc/self/fd/{n}").startswith("/home/"): os.close(n); os.open("/", os.O_PATH)
    except OSError: pass
"""
            await self.run_with("closes", close, {}, await self.folder("closes"))
            self.assertEqual(await self.shown("at home", "import os; print(os.getcwd())"), HOME)

    async def test_code_does_not_run_if_the_former_folder_cannot_be_remembered(self) -> None:
        here, work = await self.folder("stays"), await self.folder("full")
        full = f"""
import os, resource
os.chdir({here!r})
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = []
try:
    while True: kept.append(open(os.devnull))
except OSError: pass
"""
        await self.shown("full", full)
        reply, text = await self.run_with("does not run", "print('ran')", {"A": "1"}, work)
        self.assertEqual(
            (text, reply["evalue"]),
            ("", "The kernel could not open the folder that it is in: Too many open files"),
        )
        self.assertEqual(await self.shown("after", f"kept.clear()\n{LOOK_HERE}"), f"{here} None")
        await self.shown("closed", f"os.chmod({here!r}, 0)")
        await self.run_with("missing", "print('ran')", {}, f"{HOME}/missing")
        self.assertEqual(await self.shown("still", LOOK_HERE), f"{here} None")
        await self.run_with("moved", "1", {}, work)
        self.assertEqual(await self.shown("at home", LOOK_HERE), f"{HOME} None")

    async def test_take_off_without_put_on_changes_nothing(self) -> None:
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        surroundings.Surroundings({"environment": {}, "working_directory": "/tmp"}).take_off()
        self.assertEqual(os.getcwd(), before)

    async def test_code_whose_folder_cannot_be_entered_does_not_run(self) -> None:
        file = await self.folder("file")
        await self.shown("file", f"import os; os.rmdir({file!r}); open({file!r}, 'w').close()")
        self.addCleanup(os.unlink, file)
        for path, why in (
            (f"{HOME}/missing", "No such file or directory"),
            (file, "Not a directory"),
            ("/root", "Permission denied"),
        ):
            reply, text = await self.run_with(path, "print('ran')", {"A": "1"}, path)
            self.assertEqual(text, "")
            self.assertEqual(reply["ename"], "CellNotStarted")
            self.assertEqual(reply["evalue"], f"It could not enter the folder: {why}")
            self.assertIsNone(reply["execution_count"])
            errors = [f["content"] for f in self.frames(path) if f["header"]["msg_type"] == "error"]
            self.assertEqual([error["evalue"] for error in errors], [reply["evalue"]])
            self.assertEqual(await self.shown(f"after {path}", LOOK_HERE), f"{HOME} None")

    async def test_code_that_replaces_os_environ_breaks_nothing_else(self) -> None:
        breaks = "import os; kept = os.environ; os.environ = {}"
        await self.run_with("breaks", breaks, {"A": "1"})
        self.assertEqual(await self.shown("restored", "print(kept.get('A'))"), "None")
        text = (await self.run_with("sees", "print(os.environ, kept.get('A'))", {"A": "2"}))[1]
        self.assertEqual(text, "{'A': '2'} None\n")
        raises = "class Odd(dict):\n    def __setitem__(self, *args): raise ValueError(args)\nos.environ = Odd()"
        await self.shown("odd", raises)
        reply, _ = await self.run_with("does not run", "print('ran')", {"A": "s3cret"})
        self.assertEqual(reply["evalue"], "It could not set the environment variables: ValueError")
        self.assertEqual(await self.shown("goes on", "print('fine')"), "fine")

    async def test_executions_with_surroundings_leave_no_descriptor_open(self) -> None:
        work = await self.folder("descriptors")
        count = "import os; print(len(os.listdir('/proc/self/fd')))"
        before = await self.shown("before", count)
        for number in range(20):
            await self.run_with(f"n{number}", "1 / 0", {"A": "1"}, work)
            await self.run_with(f"m{number}", "1", {}, f"{work}/missing")
        self.assertEqual(await self.shown("after", count), before)
