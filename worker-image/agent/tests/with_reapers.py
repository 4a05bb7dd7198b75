"""Shared parts of the tests with reapers: run as root, in a container."""

import asyncio
import socket
import unittest
from asyncio.subprocess import PIPE

from cellhouse_agent.processes.reaper import Reaper
from cellhouse_agent.processes.table import stat_fields
from cellhouse_kernel.privileges import KERNEL_UID

# Far longer than any of these tests takes: a hang fails the test instead of blocking it.
PATIENCE_SECONDS = 60.0
# Code of the user that ignores signals. It ends by itself after a minute, so that no test can flood the machine. Its
# argument is the descriptor of the reaper's socket.
BEGIN = f"""
import ctypes, os, signal, sys, threading, time
from cellhouse_kernel.forking import fork_with_reaper
fork_with_reaper(int(sys.argv[1]))
os.close(int(sys.argv[1]))
os.setsid()
os.setresuid({KERNEL_UID}, {KERNEL_UID}, {KERNEL_UID})
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
end = time.monotonic() + 60
CLONE, EXIT = (56, 60) if os.uname().machine == "x86_64" else (220, 93)
libc = ctypes.CDLL(None, use_errno=True)
def say(word):
    os.write(1, f"{{word}}\\n".encode())
def leave_session():
    if os.getsid(0) != os.getpid():
        os.setsid()
"""
# 32 processes, each of which makes one more at a time.
BOMB = """
for _ in range(5):
    os.fork()
leave_session()
say("there")
while time.monotonic() < end:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
"""
PROCESSES = 32
# exit, not exit_group: /proc shows the process as ended, but the other thread goes on.
NO_MAIN_THREAD = """
def go_on():
    while open("/proc/self/stat").read().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    say("there")
    time.sleep(60)
threading.Thread(target=go_on).start()
libc.syscall(EXIT, 0)
"""


class Tree:
    """Code that runs below a reaper."""

    def __init__(self, process: asyncio.subprocess.Process, reaper: Reaper) -> None:
        self._process = process
        self.reaper = reaper

    async def said(self) -> str:
        """The next line that the code prints; empty when no process is left that could print."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE_SECONDS):
            return (await self._process.stdout.readline()).decode().strip()

    async def ended(self) -> int:
        """Wait for the end of the reaper's own process, and return its exit code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._process.wait()


class WithReapers(unittest.IsolatedAsyncioTestCase):
    """Makes trees, which end with the test."""

    async def tree(self, code: str) -> Tree:
        """Run code below a reaper."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = ["/usr/bin/python3", "-c", BEGIN + code, str(theirs.fileno())]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=PIPE, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        tree = Tree(process, Reaper(process.pid, ours))
        self.addAsyncCleanup(tree.ended)
        self.addAsyncCleanup(tree.reaper.end_tree)
        await tree.reaper.child()
        return tree


def state_of(pid: int) -> str:
    """The letter of a process's state; empty if there is none."""
    try:
        return stat_fields(str(pid))[0]
    except OSError:
        return ""
