"""Which modules an environment may preload, and why check_preload refuses others: run as root in the worker image."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from cellhouse_agent.kernel.launcher import FORK_SERVER_COMMAND, kernel_environment
from cellhouse_agent.processes.children import MAX_PACKET_BYTES
from cellhouse_kernel.packages import FIRST_FORK_SERVER, OWN_PACKAGES
from cellhouse_kernel.preload import PRELOAD_FILE
from tests.with_kernels import PATIENCE_SECONDS, WithKernels, fork_server_pid, was_forked

MODULES = {
    "good": "import threading\nthreading.Thread(target=print).start()\nANSWER = 42",
    # Threads that end one after the other while the check looks at them.
    "brief": "import threading, time\n"
    "for n in range(200): threading.Thread(target=time.sleep, args=(n / 800,)).start()",
    "threads": "import threading, time\n"
    "for n in range(2): threading.Thread(target=time.sleep, args=(60,), daemon=True, name=f'own-{n}').start()",
    "files": "KEPT = open('/etc/hostname')",
    "children": "import subprocess\nKEPT = subprocess.Popen(['sleep', '60'])",
    "broken": "raise ValueError('first line\\nsecond line')",
    "leaving": "import sys\nsys.exit(0)",
    "ending": "import os\nos._exit(0)",
    "dying": "import os\nos.kill(os.getpid(), 9)",
    "writing": "open('/usr/share/cellhouse/written', 'w')",
    "looking": "import os\nos.listdir(os.path.expanduser('~'))",
}
CHECK = ["python3", "-m", "cellhouse_kernel.check_preload"]


def check(*names: str) -> tuple[int, list[str]]:
    """Check these modules; returns the exit code, and the lines that the check prints."""
    command = [*CHECK, *(f"for_test_{name}" if name in MODULES else name for name in names)]
    # The check must ignore the current folder and PYTHONPATH.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "elsewhere.py").touch()
        variables = {**os.environ, "PYTHONPATH": folder}
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, check=False
        )
    assert done.stderr == "", done.stderr
    return done.returncode, [line.removeprefix("for_test_") for line in done.stdout.splitlines()]


def add_modules(test: unittest.TestCase) -> None:
    """Add MODULES to the packages of the environment until this test ends."""
    for name, code in MODULES.items():
        path = Path(OWN_PACKAGES, f"for_test_{name}.py")
        path.write_text(code, encoding="utf-8")
        test.addCleanup(path.unlink)


def preload(test: unittest.TestCase, text: str) -> None:
    """Let the image's PRELOAD_FILE name these modules until this test ends."""
    PRELOAD_FILE.write_text(text, encoding="utf-8")
    test.addCleanup(PRELOAD_FILE.unlink)


class TestCheckPreload(unittest.TestCase):
    """The check, run as a build runs it."""

    def setUp(self) -> None:
        add_modules(self)

    def test_modules_that_leave_nothing_behind_may_be_preloaded(self) -> None:
        names = [
            "good",
            "brief",
            "scipy.linalg",
            "sklearn.linear_model",
            "sympy",
            "jedi.api",
            "json",
        ]
        self.assertEqual(check(*names), (0, []))

    def test_each_other_module_is_named_with_its_fault_in_one_line(self) -> None:
        wrong = {
            "threads": "threads left 2 threads running: own-0, own-1",
            "files": "files left 1 descriptor open: .* \\(/etc/hostname\\)",
            "children": "children left a process running",
            "broken": "broken cannot be imported: ValueError: first line second line",
            "leaving": "leaving cannot be imported: SystemExit: 0",
            "ending": "ending ended the process \\(0\\) when it was imported",
            "dying": "dying ended the process \\(-9\\) when it was imported",
            "missing.part": "missing.part cannot be imported: ModuleNotFoundError: No module named 'missing'",
            "elsewhere": "elsewhere cannot be imported: ModuleNotFoundError: No module named 'elsewhere'",
            # The check runs as the agent's user, like fork servers in a worker.
            "writing": "writing cannot be imported: PermissionError: .*",
            "looking": "looking cannot be imported: PermissionError: .*",
        }
        code, lines = check("good", *wrong, "good")
        self.assertEqual((code, len(lines)), (1, len(wrong)), lines)
        for (name, expected), line in zip(wrong.items(), lines, strict=True):
            with self.subTest(name):
                self.assertRegex(line, f"^{expected}$")


class TestPreloadFile(WithKernels):
    """With real fork servers."""

    async def asyncSetUp(self) -> None:
        add_modules(self)
        preload(self, "for_test_good\njedi\n\nfor_test_broken\n")
        await super().asyncSetUp()

    async def test_a_kernel_has_the_named_modules_but_those_that_fail(self) -> None:
        kernel = await self.kernel()
        self.assertTrue(was_forked(await kernel.pid()))
        names = ["for_test_good", "jedi", "for_test_broken", "debugpy"]
        known = f"import json, sys; print(json.dumps([name in sys.modules for name in {names}]))"
        self.assertEqual(await kernel.ask(known), [True, True, False, False])
        answer = "import for_test_good, jedi; jedi.Script; print(for_test_good.ANSWER)"
        self.assertEqual(await kernel.ask(answer), 42)

    async def test_a_second_fork_server_does_not_preload_the_named_modules(self) -> None:
        await self.launcher.wait_ready()
        os.kill(fork_server_pid(), signal.SIGKILL)
        self.assertFalse(was_forked(await (await self.kernel()).pid()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.launcher.wait_ready()
        kernel = await self.kernel()
        self.assertTrue(was_forked(await kernel.pid()))
        known = "import json, sys; print(json.dumps('for_test_good' in sys.modules))"
        self.assertIs(await kernel.ask(known), False)
        self.assertEqual(await kernel.ask("import for_test_good; print(for_test_good.ANSWER)"), 42)

    def test_a_fork_server_reports_a_module_that_fails(self) -> None:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.settimeout(PATIENCE_SECONDS)
        with control, subprocess.Popen(
            [*FORK_SERVER_COMMAND, FIRST_FORK_SERVER],
            stdin=theirs.fileno(),
            env=kernel_environment(1),
        ):
            theirs.close()
            said = json.loads(control.recv(MAX_PACKET_BYTES))
            # The fork server ends when its control socket is closed.
            control.shutdown(socket.SHUT_RDWR)
        reason = "for_test_broken cannot be imported: ValueError: first line second line"
        self.assertEqual(said, {"ready": {"not_preloaded": reason}})
