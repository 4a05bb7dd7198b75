"""Commands that attack whatever is not theirs, by the probes of test/e2e/security. Only in a worker (in_worker.py)."""

import json
import os
import unittest

from tests.with_commands import WithCommands

# Probes of the agent and of what else is the worker's. Those of files and of the host say the same of any process.
THEMES = ("agent", "privileges")
# As the test in TypeScript does for cells (test/support/probes.ts).
ATTACK = """
import json, os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/probes")
import harness
harness.PARAMETERS.update(json.loads(sys.argv[1]), kernel_pid=os.getpid())
__import__(sys.argv[2])
harness.run_probes()
"""
SETTINGS = ("TIER", "PIDS", "ORPHAN_TIMEOUT_MS", "REPLAY_BUFFER_BYTES", "CPUS")


class Hostile(WithCommands):
    """A command of a hostile user."""

    async def test_no_attack_succeeds(self) -> None:
        tier = os.environ["CELLHOUSE_TIER"]
        known = [f"CELLHOUSE_{name}" for name in SETTINGS] + ["PYTHONDONTWRITEBYTECODE"]
        parameters = json.dumps({"tier": tier, "settings": known})
        for theme in THEMES:
            code = f"exec python3 -I -c '{ATTACK}' '{parameters}' {theme}"
            verdicts = (await self.output(theme, code)).splitlines()
            self.assertGreater(len(verdicts), 10)
            for line in verdicts:
                verdict = json.loads(line)
                with self.subTest(verdict["probe"]):
                    self.assertIn("held", verdict, verdict)


if __name__ == "__main__":
    unittest.main()
