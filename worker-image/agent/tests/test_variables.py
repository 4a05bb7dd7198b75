"""A session's variables are in the environment of its kernels, not in the agent's: run as root in the worker image."""

import json
import os
import unittest
from typing import Any

from cellhouse_agent.gateway.requests import MAX_TOTAL_BYTES, checked_variables
from cellhouse_agent.json_values import MalformedMessage
from cellhouse_agent.kernel.launcher import kernel_environment
from cellhouse_agent.processes.user_processes import user_processes
from tests.with_executor import WithExecutor

# Variables that run code in every process that has them.
HOSTILE = {"LD_PRELOAD": "/tmp/never.so", "PYTHONPATH": "/tmp/never", "BASH_ENV": "/tmp/never.sh"}
VARIABLES = {"TOKEN": "s3cret = 漢\n", "TZ": "Asia/Tokyo", "EMPTY": "", **HOSTILE}
SEEN = """
import json, os, subprocess, sys, time
names = %r
shown = subprocess.run([sys.executable, "-I", "-c",
    "import json, os; print(json.dumps(dict(os.environ)))"], capture_output=True, text=True).stdout
print(json.dumps([{n: os.environ.get(n) for n in names}, {n: json.loads(shown).get(n) for n in names}, time.tzname[0],
                  sys.path]))
"""


class VariablesTest(WithExecutor):
    """With a real kernel."""

    async def seen(self, msg_id: str) -> None:
        """Check that the kernel and what it starts have all variables, and that it still has its own modules."""
        _, text = await self.run_code(msg_id, SEEN % list(VARIABLES))
        # The loader complains about LD_PRELOAD on stderr, which comes first or last.
        own, child, zone, path = json.loads(
            next(line for line in text.splitlines() if line[0] == "[")
        )
        self.assertEqual(own, VARIABLES)
        self.assertEqual(child, VARIABLES)
        self.assertEqual(zone, "JST")
        self.assertNotIn("/tmp/never", path)

    def assert_clean(self) -> None:
        """Check that this process, which stands in for the agent, has none of the variables, and passes none on."""
        self.assertEqual(os.environ.keys() & VARIABLES.keys(), set())
        self.assertEqual(kernel_environment(1).keys() & VARIABLES.keys(), set())

    async def test_every_kernel_has_the_variables_before_its_first_code(self) -> None:
        self.executor.set_variables(VARIABLES)
        await self.seen("first")
        self.assert_clean()
        await self.executor.restart()
        await self.seen("after a restart")
        _, text = await self.run_code("ends", "import os; os._exit(3)")
        self.assertEqual(text, "")
        await self.seen("after its end")
        await self.launcher.close()
        await self.executor.restart()
        await self.seen("in a kernel that was executed")

    async def test_code_that_is_sent_right_after_the_variables_has_them(self) -> None:
        for number in range(20):
            self.executor.set_variables({"NUMBER": str(number)})
            _, text = await self.run_code(f"n{number}", "import os; print(os.environ['NUMBER'])")
            self.assertEqual(text, f"{number}\n")

    async def test_the_same_variables_are_not_sent_again(self) -> None:
        self.executor.set_variables({"A": "given"})
        await self.run_code("changes", "import os; os.environ['A'] = 'changed'")
        self.executor.set_variables({"A": "given"})
        _, text = await self.run_code("asks", "print(os.environ['A'])")
        self.assertEqual(text, "changed\n")

    async def test_the_end_of_the_kernel_leaves_no_process(self) -> None:
        self.executor.set_variables(VARIABLES)
        await self.seen("once")
        await self.kernel.end()
        self.assertEqual(list(user_processes()), [])


class CheckedVariablesTest(unittest.TestCase):
    """checked_variables."""

    def test_variables_that_linux_refuses_are_refused_without_their_values(self) -> None:
        malformed: list[Any] = [
            None,
            [],
            {"A": 1},
            {"A": None},
            {"": "secret"},
            {"A=B": "secret"},
            {"A": "secret\0"},
            {"A\0": "secret"},
            {"A": "secret\ud800"},
            {"A": "secret" * MAX_TOTAL_BYTES},
            {str(number): "" for number in range(10_001)},
        ]
        for value in malformed:
            with self.assertRaises(MalformedMessage) as refused:
                checked_variables(value)
            self.assertNotIn("secret", str(refused.exception))

    def test_all_other_variables_are_kept(self) -> None:
        self.assertEqual(checked_variables({**VARIABLES}), VARIABLES)
        self.assertEqual(checked_variables({}), {})
