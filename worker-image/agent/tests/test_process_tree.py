"""Ending all processes below a reaper, and no others."""

import asyncio
import os
import signal
import textwrap
import unittest
from asyncio.subprocess import PIPE
from unittest import mock

from cellhouse_agent.processes import tree as process_tree
from cellhouse_agent.processes.table import ProcessEntry, below, send_signal, start_of
from cellhouse_agent.processes.tree import UnkillableProcesses, end_processes
from tests.with_reapers import BOMB, NO_MAIN_THREAD, PROCESSES, Tree, WithReapers, state_of

# Processes that fork and end at once, so that their children go to the reaper. Most of them have ended by the time the
# agent has seen them.
COMETS = """
for _ in range(2):
    os.fork()
say("there")
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    leave_session()
"""
COMET_PROCESSES = 4
# In place of KILL_DEADLINE_SECONDS.
DEADLINE_SECONDS = 0.5
QUIET = "say('there'); time.sleep(60)"
# Ways in which code may try to outlive the end of its tree.
HIDING = {
    "a session of its own": "os.fork() and os._exit(0); leave_session()",
    "a double fork": "(os.fork() and os._exit(0)); leave_session(); (os.fork() and os._exit(0))",
    # CLONE_PARENT | SIGCHLD: the parent of the new process is the reaper.
    "the parent's parent": "libc.syscall(CLONE, 0x8000 | 17, 0, 0, 0, 0) and os._exit(0)",
    "stopped": "os.fork() or os.kill(os.getpid(), signal.SIGSTOP)",
    "adopting orphans": "libc.prctl(36, 1, 0, 0, 0); (os.fork() and time.sleep(60)); (os.fork() and os._exit(0))",
    "not dumpable": "libc.prctl(4, 0, 0, 0, 0)",
    "no main thread": NO_MAIN_THREAD,
}


class EndTree(WithReapers):
    """Reaper.end_tree."""

    async def test_a_bomb_ends_and_another_tree_of_the_same_user_lives(self) -> None:
        other = await self.tree("os.fork()\nleave_session()\nos.fork()\n" + QUIET)
        await self.hear(other, 4)
        before = other.reaper.look_below()
        self.assertEqual(len(before), 4)
        for name, code, processes in (
            ("bomb", BOMB, PROCESSES),
            ("comets", COMETS, COMET_PROCESSES),
        ):
            with self.subTest(name):
                tree = await self.tree(code)
                await self.hear(tree, processes)
                await self.end(tree)
        self.assertEqual(other.reaper.look_below(), before)
        self.assertNotIn("T", {state_of(pid) for pid in before})

    async def test_code_that_hides_ends_with_its_tree(self) -> None:
        for name, code in HIDING.items():
            with self.subTest(name):
                tree = await self.tree(f"{code}\n{QUIET}")
                await self.hear(tree, 1)
                await self.end(tree)

    async def test_all_ways_of_hiding_at_once_end_too(self) -> None:
        forks = ""
        for code in HIDING.values():
            forks += "if os.fork() == 0:\n" + textwrap.indent(f"{code}\n{QUIET}\n", " ")
        tree = await self.tree(f"{forks}\n{QUIET}")
        await self.hear(tree, len(HIDING) + 1)
        await self.end(tree)

    async def hear(self, tree: Tree, times: int) -> None:
        """Wait until this many processes have said that they are there."""
        for _ in range(times):
            self.assertEqual(await tree.said(), "there")

    async def end(self, tree: Tree) -> None:
        """End a tree. The end of its pipe shows that no process is left that could write to the pipe."""
        await tree.reaper.end_tree()
        self.assertFalse(tree.reaper.is_lost)
        while said := await tree.said():
            self.assertEqual(said, "there")
        self.assertEqual(await tree.ended(), 0)
        self.assertEqual(tree.reaper.look_below(), {})


class GivingUp(unittest.IsolatedAsyncioTestCase):
    """process_tree.end_processes, for processes that no signal reaches."""

    async def end(self, code: str, seconds: float) -> None:
        """Try to end a process that counts as ended after `seconds`. A wrong start time keeps all signals from it."""
        process = await asyncio.create_subprocess_exec("/usr/bin/python3", "-c", code, stdout=PIPE)
        assert process.stdout
        await process.stdout.readline()
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        try:
            with mock.patch.object(process_tree, "KILL_DEADLINE_SECONDS", DEADLINE_SECONDS):
                await end_processes(lambda: {process.pid: 1}, lambda: clock() > end, asyncio.sleep)
        finally:
            process.kill()
            await process.wait()

    async def test_a_process_that_does_not_end_in_time_raises_an_error(self) -> None:
        with self.assertRaisesRegex(UnkillableProcesses, "1 processes survived"):
            await self.end("print(flush=True); import time; time.sleep(60)", 60)

    async def test_a_process_that_wants_a_cpu_has_more_time_but_not_for_ever(self) -> None:
        busy = "print(flush=True)\nwhile True: pass"
        await self.end(busy, 4 * DEADLINE_SECONDS)
        thread = "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()\n"
        await self.end(thread + busy, 4 * DEADLINE_SECONDS)
        with self.assertRaises(UnkillableProcesses):
            await self.end(busy, 60)


class Below(unittest.TestCase):
    """table.below and table.send_signal."""

    def test_finds_descendants_only(self) -> None:
        table = {1: (0, 10), 2: (1, 11), 3: (2, 12), 4: (3, 13), 5: (1, 14), 6: (9, 15)}
        entries = {pid: ProcessEntry(*entry) for pid, entry in table.items()}
        self.assertEqual(below(2, entries), {3: 12, 4: 13})
        self.assertEqual(below(1, entries), {2: 11, 3: 12, 4: 13, 5: 14})
        self.assertEqual(below(9, entries), {6: 15})
        self.assertEqual(below(7, entries), {})

    def test_a_process_that_started_at_another_time_gets_no_signal(self) -> None:
        own = start_of(os.getpid())
        assert own is not None
        send_signal(os.getpid(), own - 1, signal.SIGKILL)
        send_signal(os.getpid(), own + 1, signal.SIGKILL)
        with self.assertRaises(KeyboardInterrupt):
            send_signal(os.getpid(), own, signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
