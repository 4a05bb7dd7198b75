"""Commands that run the probes of test/e2e/security, which attack the worker. Only in a worker (in_worker.py)."""

import asyncio
import json
import os
import unittest

from tests.with_commands import WithCommands, command
from tests.with_executor import PATIENCE_SECONDS

# Themes of the probes that attack the agent and other parts of the worker. Probes of files and of the host have the
# same result in every process, so only cells run them.
THEMES = ("agent", "privileges")
# Runs the probes of a theme, as test/support/probes.ts does for cells.
ATTACK = """
import json, os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/probes")
import harness
harness.PARAMETERS.update(json.loads(sys.argv[1]), kernel_pid=os.getpid())
__import__(sys.argv[2])
harness.run_probes()
"""
# Each probe is a process of its own, and on a busy machine the user's processes are the last to get the CPU.
ALL_PROBES_MS = 600_000
SETTINGS = ("TIER", "PIDS", "ORPHAN_TIMEOUT_MS", "REPLAY_BUFFER_BYTES", "CPUS")


class Hostile(WithCommands):
    """A command of a hostile user."""

    async def test_no_attack_succeeds(self) -> None:
        tier = os.environ["CELLHOUSE_TIER"]
        known = [f"CELLHOUSE_{name}" for name in SETTINGS] + ["PYTHONDONTWRITEBYTECODE"]
        parameters = json.dumps({"tier": tier, "settings": known})
        for theme in THEMES:
            code = f"exec python3 -I -c '{ATTACK}' '{parameters}' {theme}"
            verdicts = (await self.slow_output(theme, code)).splitlines()
            self.assertGreater(len(verdicts), 10)
            for line in verdicts:
                verdict = json.loads(line)
                with self.subTest(verdict["probe"]):
                    self.assertIn("held", verdict, verdict)

    async def slow_output(self, msg_id: str, code: str) -> str:
        """Run a command that may take long as a whole, but not between two lines; returns what it writes."""
        self.executor.submit(command(msg_id, code, timeout_ms=ALL_PROBES_MS))
        while not self.has_replied(msg_id):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.buffer.wait_for(self.buffer.last_seq + 1)
        report = await self.report(msg_id)
        self.assertEqual((report["outcome"], report["exit_code"]), ("finished", 0), report)
        self.assertEqual(self.written(msg_id, "stderr"), b"")
        return self.written(msg_id).decode()

    def has_replied(self, msg_id: str) -> bool:
        """Whether a command has ended."""
        return any(f["header"]["msg_type"] == "execute_reply" for f in self.frames(msg_id))


if __name__ == "__main__":
    unittest.main()
