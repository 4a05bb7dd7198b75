"""The processes of commands, their reapers and the spawner: what they are, and what happens when one is killed."""

import asyncio
import json
import os
import signal
import unittest
from contextlib import suppress
from typing import Any

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_agent.processes.table import all_processes
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_commands.command import make_order, read_order, seal_order, write_order
from cellhouse_commands.spawner import KEPT_CAPABILITIES, fork_spawner
from cellhouse_kernel.privileges import KERNEL_NICENESS, KERNEL_OOM_SCORE, KERNEL_UID

from tests.with_commands import WithCommands, command
from tests.with_executor import PATIENCE_SECONDS

SHOW = r"""
import ctypes, json, os, signal
status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
inotify = ctypes.CDLL(None, use_errno=True).inotify_init1(0)
print(json.dumps({
    "status": status,
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd"))),
    "environment": sorted(open("/proc/self/environ").read().split("\0")),
    "niceness": os.nice(0),
    "oom": int(open("/proc/self/oom_score_adj").read()),
    "ids": [os.getpid(), os.getpgid(0), os.getsid(0), os.getppid()],
    "watches": inotify,
    "threads": len(os.listdir("/proc/self/task")),
    "ignored": [s for s in signal.valid_signals() if signal.getsignal(s) is signal.SIG_IGN],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
}))
"""
# A command is made within some milliseconds.
KILL_DELAYS_SECONDS = (0.0, 0.001, 0.002, 0.004, 0.008)
WAIT = "echo $$ $PPID; exec sleep 60"
# Half as long as WAIT, so that a reaper that keeps its privileges still runs when the test looks at it.
GIVEN_UP_SECONDS = 30.0


def status_of(pid: int) -> dict[str, str]:
    """/proc/<pid>/status."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line]
    return dict((name, value) for name, value in lines)


class Order(unittest.TestCase):
    """The file that contains an order to make a command."""

    def test_a_sealed_order_can_be_read_but_not_written(self) -> None:
        content = {"argv": ["/bin/true"]}
        order = make_order(content)
        self.addCleanup(os.close, order)
        seal_order(order)
        with self.assertRaises(PermissionError):
            write_order(order, {"begun": {}})
        self.assertEqual(read_order(order), content)


class Processes(WithCommands):
    """With a spawner that is a program of its own, not a fork of the agent."""

    async def show(self, msg_id: str) -> dict[str, Any]:
        """What a command finds out about itself."""
        code = f"exec python3 -I -c '{SHOW}'"
        shown: dict[str, Any] = json.loads(await self.output(msg_id, code))
        return shown

    async def spawner(self) -> int:
        """The agent's child that makes commands, once there is one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for pid, entry in all_processes().items():
                    if entry.parent == os.getpid() and _makes_commands(pid):
                        return pid
                await asyncio.sleep(0.01)

    async def test_a_command_is_the_user_without_any_privilege(self) -> None:
        shown = await self.show("1")
        status = shown["status"]
        for name in ("Uid", "Gid"):
            self.assertEqual(status[name].split(), [str(KERNEL_UID)] * 4)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status.get(name, "0"), 16), 0, name)
        self.assertEqual((status["Groups"].strip(), status.get("NoNewPrivs", "1")), ("", "1"))
        # Python itself ignores these two.
        self.assertEqual({*shown["ignored"]}, {signal.SIGPIPE, signal.SIGXFSZ})
        self.assertEqual(shown["blocked"], [])
        self.assertEqual(shown["descriptors"][:3], [0, 1, 2])
        # The fourth is open only for the listing.
        self.assertEqual(len(shown["descriptors"]), 4)
        self.assertEqual((shown["niceness"], shown["oom"]), (KERNEL_NICENESS, KERNEL_OOM_SCORE))
        pid, group, session, parent = shown["ids"]
        self.assertEqual((group, session), (pid, pid))
        self.assertNotIn(parent, (pid, os.getpid()))
        self.assertEqual((shown["watches"], shown["threads"]), (-1, 1))
        self.assertFalse([each for each in shown["environment"] if each.startswith("CELLHOUSE")])

    async def test_a_signal_that_python_ignores_ends_its_programs(self) -> None:
        text = await self.output("1", "yes | head -n 1; echo ${PIPESTATUS[0]}")
        self.assertEqual(text, f"y\n{128 + signal.SIGPIPE}\n")

    async def test_a_command_cannot_signal_its_reaper_the_spawner_or_the_agent(self) -> None:
        self.executor.submit(command("1", WAIT))
        await self.wrote("1", b"\n")
        _, reaper = map(int, self.written("1").split())
        spawner = await self.spawner()
        # The reaper reports its child before it gives up its privileges, so the child may have written already.
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                while status_of(reaper)["CapEff"] != mask(()):
                    await asyncio.sleep(0.01)
        for pid, capabilities in ((reaper, ()), (spawner, KEPT_CAPABILITIES)):
            status = status_of(pid)
            self.assertEqual(status["Uid"].split(), [str(AGENT_UID)] * 4)
            self.assertEqual(status["CapEff"], mask(capabilities))
            self.assertEqual(status["Threads"], "1")
        touch = (
            f"for p in {reaper} {spawner} {os.getpid()}; do for s in 0 INT STOP KILL; do"
            " kill -$s $p 2>&1 | grep -c -i permitted; done; done"
        )
        self.assertEqual((await self.output("2", touch)).split(), ["1"] * 12)

    async def test_a_spawner_that_dies_is_replaced_and_its_commands_run_on(self) -> None:
        self.executor.submit(command("1", "echo on; sleep 1; echo end"))
        await self.wrote("1", b"on")
        first = await self.spawner()
        os.kill(first, signal.SIGKILL)
        for msg_id in ("2", "3"):
            self.assertEqual(await self.output(msg_id, "echo next"), "next\n")
        self.assertNotEqual(await self.spawner(), first)
        report = await self.report("1")
        self.assertEqual((report["exit_code"], self.written("1")), (0, b"on\nend\n"))

    async def test_a_spawner_that_is_killed_at_any_moment_loses_no_command(self) -> None:
        for delay in KILL_DELAYS_SECONDS:
            spawner = await self.spawner()
            # The process that was made in advance runs the first command. The spawner must make the other processes.
            msg_ids = [f"{delay} {number}" for number in range(3)]
            for msg_id in msg_ids:
                self.executor.submit(command(msg_id, "echo ran"))
            await asyncio.sleep(delay)
            os.kill(spawner, signal.SIGKILL)
            for msg_id in msg_ids:
                report = await self.report(msg_id)
                ended = (report["ename"], report["exit_code"], self.written(msg_id))
                self.assertEqual(ended, (None, 0, b"ran\n"))

    async def test_a_lost_reaper_ends_its_command_and_no_other(self) -> None:
        for msg_id in ("1", "2"):
            self.executor.submit(command(msg_id, f"sleep 60 & setsid sleep 60 & {WAIT}"))
            await self.wrote(msg_id, b"\n")
        _, reaper = map(int, self.written("1").split())
        self.assertEqual(len([*user_processes()]), 6)
        os.kill(reaper, signal.SIGKILL)
        report = await self.report("1")
        self.assertEqual((report["ename"], report["exit_code"]), ("CommandLost", None))
        self.assertEqual((report["cpu_ms"], report["peak_memory_bytes"]), (None, None))
        self.assertEqual(len([*user_processes()]), 3)
        self.executor.interrupt("2", "r")
        self.assertEqual((await self.report("2"))["signal"], "SIGINT")


class Forked(Processes):
    """Like Processes, but with a spawner that was forked from this process, like the agent's first spawner."""

    async def asyncSetUp(self) -> None:
        self.first = fork_spawner(before=lambda: become_user(AGENT_UID))
        await super().asyncSetUp()


def _makes_commands(pid: int) -> bool:
    try:
        status = status_of(pid)
    except OSError:
        return False
    return status["CapEff"] == mask(KEPT_CAPABILITIES) and not status["State"].startswith("Z")


def mask(capabilities: tuple[int, ...]) -> str:
    """The mask of these capabilities, as in /proc/<pid>/status."""
    return f"{sum(1 << number for number in capabilities):016x}"


if __name__ == "__main__":
    unittest.main()
