"""Commands for which no process can be made. gVisor has no RLIMIT_NPROC, so these tests do not run in a worker."""

import os
import resource
import signal
import unittest

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_commands.spawner import fork_spawner

from tests.with_commands import WithCommands


class WithoutProcesses(WithCommands):
    """With a spawner that cannot make a process."""

    async def asyncSetUp(self) -> None:
        self.first = fork_spawner(before=_forbid_processes)
        await super().asyncSetUp()

    async def test_a_command_without_a_process_fails_with_the_reason(self) -> None:
        report = await self.run_command("1", "echo never")
        self.assertEqual((report["ename"], report["started_at"]), ("CommandNotStarted", None))
        reason = "No process could be made: Resource temporarily unavailable"
        self.assertEqual(report["evalue"], reason)
        assert self.first
        os.kill(self.first.pid, signal.SIGKILL)
        self.assertEqual(await self.output("2", "echo again"), "again\n")


class WithoutDescriptors(WithCommands):
    """With a spawner that has no free descriptor."""

    async def asyncSetUp(self) -> None:
        self.first = fork_spawner(before=_forbid_descriptors)
        await super().asyncSetUp()

    async def test_a_command_that_was_tried_in_vain_fails_with_the_last_reason(self) -> None:
        report = await self.run_command("1", "echo never")
        self.assertEqual((report["ename"], report["started_at"]), ("CommandNotStarted", None))
        reason = "No process could be made: the connection to its reaper was lost"
        self.assertEqual(
            report["evalue"], f"The command could not be started in 3 attempts: {reason}"
        )


def _forbid_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, most))


def _forbid_processes() -> None:
    become_user(AGENT_UID)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))


if __name__ == "__main__":
    unittest.main()
