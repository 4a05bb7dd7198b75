"""Ending everything that runs as a user: run as root, in a container."""

import asyncio
import signal
import unittest
from asyncio.subprocess import PIPE

from cellhouse_agent.user_processes import user_processes, user_processes_ended

# No other process in this container has this uid.
UID = 64_123
# Bounded, so that the test cannot flood the machine: 32 processes, each of which makes one more at a time.
BOMB = f"""
import os, signal, time
os.setresuid({UID}, {UID}, {UID})
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(5):
    os.fork()
os.setsid()
print("there", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
"""
PROCESSES = 32
# exit, not exit_group: /proc shows the process as a zombie, but the other thread goes on.
NO_MAIN_THREAD = f"""
import ctypes, os, platform, threading, time
os.setresuid({UID}, {UID}, {UID})
def go_on():
    while not open("/proc/self/stat").read().rpartition(")")[2].startswith(" Z"):
        time.sleep(0.01)
    os.write(1, b"there\\n")
    time.sleep(60)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).syscall({{"x86_64": 60, "aarch64": 93}}[platform.machine()], 0)
"""


class KillUserProcesses(unittest.IsolatedAsyncioTestCase):
    """user_processes_ended."""

    async def test_ends_processes_that_never_stop_making_others(self) -> None:
        bomb = await asyncio.create_subprocess_exec("python3", "-c", BOMB, stdout=PIPE)
        for _ in range(PROCESSES):
            self.assertEqual(bomb.stdout and await bomb.stdout.readline(), b"there\n")
        await user_processes_ended(UID)
        self.assertEqual(list(user_processes(UID)), [])
        self.assertEqual(await bomb.wait(), -signal.SIGKILL)

    async def test_ends_a_process_whose_main_thread_has_ended(self) -> None:
        process = await asyncio.create_subprocess_exec("python3", "-c", NO_MAIN_THREAD, stdout=PIPE)
        self.assertEqual(process.stdout and await process.stdout.readline(), b"there\n")
        self.assertEqual(list(user_processes(UID)), [process.pid])
        await user_processes_ended(UID)
        self.assertEqual(list(user_processes(UID)), [])
        self.assertEqual(await process.wait(), -signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
