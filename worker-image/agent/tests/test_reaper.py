"""What a reaper reports, and what happens when it is lost."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from textwrap import indent

from cellhouse_agent.privileges import AGENT_UID
from cellhouse_agent.processes.reaper import NoChild, Reaper
from cellhouse_agent.processes.user_processes import end_strays, user_processes
from tests.with_reapers import (
    BOMB,
    NO_MAIN_THREAD,
    PATIENCE_SECONDS,
    PROCESSES,
    WithReapers,
    state_of,
)

STATUS_NAMES = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")

SHOW = """
import json, os, sys
folder = sys.argv[1]
links = [os.readlink(f"{folder}/fd/{fd}").partition(":")[0] for fd in os.listdir(f"{folder}/fd")]
print(json.dumps([sorted(links), open(f"{folder}/environ").read()]))
"""
# Makes children of the reaper that send their parent a signal other than SIGCHLD when they end. Orphans make these
# children, since the parent of an orphan is the reaper: once with CLONE_PARENT (which gVisor ignores), once as
# orphans in turn.
END_OF_CHILD = """
reaper = os.getppid()
def wait_for_reaper():
    while os.getppid() != reaper:
        time.sleep(0.001)
for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
    for flags in (0x8000, 0):
        if os.fork() == 0:
            os.fork() and os._exit(0)
            wait_for_reaper()
            libc.syscall(CLONE, flags | number, 0, 0, 0, 0) and os._exit(0)
            wait_for_reaper()
            say("ends")
            os._exit(0)
        os.wait()
time.sleep(60)
"""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Told(WithReapers):
    """With real reapers."""

    async def test_a_reaper_reports_the_end_of_its_child_and_the_end_of_all(self) -> None:
        for code, exit_code in (
            ("os._exit(7)", 7),
            ("os.kill(os.getpid(), 9)", -9),
            ("sys.exit()", 0),
        ):
            with self.subTest(code):
                # A grandchild that lives on.
                tree = await self.tree(f"if os.fork():\n {code}\nsay('there')\ntime.sleep(60)")
                self.assertEqual(await tree.said(), "there")
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await tree.reaper.wait_exited()
                self.assertEqual(tree.reaper.exit_code, exit_code)
                self.assertFalse(tree.reaper.has_ended)
                self.assertEqual(len(tree.reaper.look_below()), 1)
                await tree.reaper.end_tree()
                self.assertEqual(await tree.ended(), 0)

    async def test_a_reaper_has_the_agents_user_and_no_privilege_or_open_file(self) -> None:
        tree = await self.tree("time.sleep(60)")
        folder = f"/proc/{tree.reaper.pid}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"reaper.py" not in _read(f"{folder}/cmdline"):
                await asyncio.sleep(0.01)
        status = _read(f"{folder}/status").decode()
        lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        agent = "\t".join([str(AGENT_UID)] * 4)
        expected = [agent, agent, *["0" * 16] * 5, "1"]
        self.assertEqual([lines.get(name, "0" * 16) for name in STATUS_NAMES], expected)
        self.assertEqual(lines["Groups"].strip(), "")
        # Only the reaper's own user may look at its files and its environment.
        shown = subprocess.run(
            ["/usr/bin/python3", "-c", SHOW, folder],
            user=AGENT_UID,
            group=AGENT_UID,
            check=True,
            capture_output=True,
        )
        self.assertEqual(json.loads(shown.stdout), [["/dev/null", "/dev/null", "socket"], ""])

    async def test_no_signal_at_the_end_of_a_child_stops_the_reaper(self) -> None:
        tree = await self.tree(END_OF_CHILD)
        for _ in range(6):
            self.assertEqual(await tree.said(), "ends")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(tree.reaper.look_below()) > 1:
                await asyncio.sleep(0.01)
        self.assertIn(state_of(tree.reaper.pid), ("S", "R"))
        await tree.reaper.end_tree()
        self.assertFalse(tree.reaper.is_lost)

    async def test_the_strays_of_a_lost_reaper_end_and_another_tree_lives(self) -> None:
        code = "os.fork()\nleave_session()\nos.fork()\nsay('there')\ntime.sleep(60)"
        await self.lose(code, 4)

    async def test_strays_that_fork_or_seem_to_have_ended_end_too(self) -> None:
        # Under gVisor of 2024, this brings the whole sandbox to a stop.
        await self.lose(f"if os.fork():\n{indent(BOMB, ' ')}\n{NO_MAIN_THREAD}", PROCESSES + 1)

    async def test_strays_end_even_if_they_are_still_below_their_reaper(self) -> None:
        other, tree = [await self.tree("os.fork()\nsay('there')\ntime.sleep(60)") for _ in "ab"]
        for each in (other, tree) * 2:
            self.assertEqual(await each.said(), "there")
        await end_strays(tree.reaper.pid, tree.reaper.start)
        self.assertEqual(set(other.reaper.look_below()), set(user_processes()))

    async def lose(self, code: str, times: int) -> None:
        """Kill the reaper of code that says `there` this many times. The code's processes must end, and no others."""
        other = await self.tree("os.fork()\nsay('there')\ntime.sleep(60)")
        tree = await self.tree(code)
        for each, words in ((other, 2), (tree, times)):
            for _ in range(words):
                self.assertEqual(await each.said(), "there")
        os.kill(tree.reaper.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await tree.reaper.wait_exited()
        self.assertEqual((tree.reaper.is_lost, tree.reaper.exit_code), (True, None))
        self.assertTrue(tree.reaper.has_ended)
        await end_strays(tree.reaper.pid, tree.reaper.start)
        while said := await tree.said():
            self.assertEqual(said, "there")
        self.assertEqual(set(other.reaper.look_below()), set(user_processes()))

    async def test_a_reaper_whose_process_is_gone_has_no_child(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reaper = Reaper(os.getpid(), ours)
        theirs.close()
        with self.assertRaises(NoChild):
            await reaper.child()
