"""The process that waits for the next command: its rights, and what becomes of an order that it does not take."""

import asyncio
import os
import signal
import unittest
from collections.abc import Iterator
from contextlib import suppress

from cellhouse_agent.privileges import AGENT_UID
from cellhouse_agent.processes.table import all_processes
from cellhouse_commands.spawner import KEPT_CAPABILITIES
from cellhouse_kernel.privileges import KERNEL_NICENESS, KERNEL_OOM_SCORE

from tests.test_command_processes import mask, status_of
from tests.with_commands import WithCommands, command
from tests.with_executor import PATIENCE_SECONDS

# Prints every process of another user that the user can signal.
SIGNAL_OTHERS = """
for p in /proc/[0-9]*; do
  for s in 0 STOP KILL; do [ -O $p ] || kill -$s ${p#/proc/} 2> /dev/null && [ ! -O $p ] && echo $p; done
done
echo tried
"""
# The time limit of a command.
LIMIT_MS = 500
# Much less than the agent waits for a process that takes no order.
SOON_SECONDS = 15.0


class Waiting(WithCommands):
    """With a spawner that is a program of its own, not a fork of the agent."""

    async def waiting(self, former: int = 0) -> int:
        """The process that waits, once it is ready. `former` is the process of a command, and may not be gone yet."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := [pid for pid in _waiting() if pid != former]):
                await asyncio.sleep(0.01)
        self.assertEqual(len(found), 1)
        return found[0]

    async def test_no_process_waits_before_the_first_command(self) -> None:
        await asyncio.sleep(0.2)
        self.assertEqual([*_waiting()], [])
        await self.output("1", "true")
        await self.waiting()

    async def test_the_next_command_runs_in_the_waiting_process(self) -> None:
        former = int(await self.output("1", "echo $$"))
        for msg_id in ("2", "3"):
            waiting = await self.waiting(former)
            self.assertEqual(await self.output(msg_id, "echo $$"), f"{waiting}\n")
            former = waiting

    async def test_user_code_cannot_signal_the_waiting_process(self) -> None:
        wait = "echo on; until [ -e /tmp/go ]; do sleep 0.05; done"
        self.executor.submit(command("1", f"{wait}; {SIGNAL_OTHERS}"))
        # Once this command has written, its process no longer counts as waiting.
        await self.wrote("1", b"on\n")
        waiting = await self.waiting()
        status = status_of(waiting)
        self.assertEqual(status["Uid"].split(), [str(AGENT_UID)] * 4)
        self.assertEqual(status.get("CapBnd", mask(())), mask(()))
        self.assertEqual((os.getsid(waiting), os.getpgid(waiting)), (waiting, waiting))
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, waiting), KERNEL_NICENESS)
        with open(f"/proc/{waiting}/oom_score_adj", encoding="ascii") as score:
            self.assertEqual(int(score.read()), KERNEL_OOM_SCORE)
        with open("/tmp/go", "w", encoding="ascii"):
            self.addCleanup(os.remove, "/tmp/go")
        await self.report("1")
        self.assertEqual(self.written("1"), b"on\ntried\n")
        self.assertEqual(await self.output("2", "echo $$"), f"{waiting}\n")

    async def test_an_order_to_a_killed_waiting_process_is_given_again(self) -> None:
        await self.output("1", "true")
        for msg_id in ("2", "3"):
            waiting = await self.waiting()
            os.kill(waiting, signal.SIGKILL)
            # In the second turn, the agent learns of the death before the order.
            await asyncio.sleep(0.1 if msg_id == "3" else 0)
            self.assertEqual(await self.output(msg_id, "echo ran"), "ran\n")

    async def test_limits_hold_while_the_order_is_not_taken(self) -> None:
        await self.output("1", "true")
        for how in ("interrupted", "timeout"):
            waiting = await self.waiting()
            os.kill(waiting, signal.SIGSTOP)
            timeout_ms = LIMIT_MS if how == "timeout" else 60_000
            async with asyncio.timeout(SOON_SECONDS):
                self.executor.submit(command(how, "touch /tmp/ran", timeout_ms=timeout_ms))
                if how == "interrupted":
                    await asyncio.sleep(0.1)
                    self.executor.interrupt(how, how)
                report = await self.report(how)
            self.assertEqual((report["outcome"], report["ename"]), (how, "CommandNotStarted"))
            self.assertIsNone(report["started_at"])
            # The process had got the order, but the command never begins.
            os.kill(waiting, signal.SIGCONT)
            await self.gone(waiting)
            self.assertFalse(os.path.exists("/tmp/ran"))
            await self.output(f"after {how}", "true")

    async def test_the_waiting_process_ends_with_the_maker_of_commands(self) -> None:
        await self.output("1", "true")
        waiting = await self.waiting()
        await self.maker.close()
        await self.gone(waiting)

    async def gone(self, pid: int) -> None:
        """Wait for the end of a process."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while os.path.exists(f"/proc/{pid}"):
                await asyncio.sleep(0.01)


def _waiting() -> Iterator[int]:
    """All processes that wait: they have the capabilities to become the user, and an empty bounding set."""
    for pid in all_processes():
        with suppress(OSError):
            status = status_of(pid)
            is_prepared = os.getsid(pid) == pid and status.get("CapBnd", mask(())) == mask(())
            if is_prepared and status["CapEff"] == mask(KEPT_CAPABILITIES):
                yield pid


if __name__ == "__main__":
    unittest.main()
