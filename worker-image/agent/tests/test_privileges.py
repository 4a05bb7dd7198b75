"""The privileges that a process keeps when it changes from root to the agent's user. Run as root, in a container."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from cellhouse_agent.privileges import AGENT_UID, limit_processes

SHOW = f"""
from cellhouse_agent.privileges import become_user
become_user({AGENT_UID})
print(open("/proc/self/status").read())
try:
    open("/proc/self/environ").read()
except PermissionError:
    print("Environ: closed")
"""


def status_after_change() -> dict[str, str]:
    """/proc/self/status of a process that has changed its user."""
    shown = subprocess.run([sys.executable, "-c", SHOW], check=True, capture_output=True, text=True)
    lines = (line.partition(":") for line in shown.stdout.splitlines())
    return {name: value.strip() for name, _, value in lines}


class BecomeUser(unittest.TestCase):
    """become_user."""

    def test_changes_every_uid_and_keeps_four_capabilities(self) -> None:
        self.assertEqual(os.getuid(), 0)
        status = status_after_change()
        self.assertEqual(status["Uid"].split(), [str(AGENT_UID)] * 4)
        self.assertEqual(status["Gid"].split(), [str(AGENT_UID)] * 4)
        self.assertEqual(status["Groups"], "")
        for name, capabilities in {
            "CapPrm": 0x1E0,
            "CapEff": 0x1E0,
            "CapInh": 0,
            "CapAmb": 0,
        }.items():
            with self.subTest(name):
                self.assertEqual(int(status[name], 16), capabilities)
        self.assertEqual(status["NoNewPrivs"], "1")

    def test_closes_its_proc_files_to_its_own_user(self) -> None:
        self.assertEqual(status_after_change()["Environ"], "closed")


class LimitProcesses(unittest.TestCase):
    """limit_processes."""

    def test_writes_the_limit_only_where_one_is_asked_for(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pids.max"
            limit_processes({}, file)
            self.assertFalse(file.exists())
            limit_processes({"CELLHOUSE_PIDS": "128"}, file)
            self.assertEqual(file.read_text(), "128")


if __name__ == "__main__":
    unittest.main()
