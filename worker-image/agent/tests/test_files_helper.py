"""The helper's rights, and what happens when it dies."""

import asyncio
import os
import signal
import unittest
from unittest import mock

from cellhouse_agent.files import helper
from cellhouse_agent.files.helper import Answered, FileRefused, FilesHelper
from cellhouse_agent.privileges import AGENT_UID
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_kernel.privileges import KERNEL_UID
from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_files import PATIENCE_SECONDS, WithFiles, helpers


class Rights(WithFiles):
    """What a helper may do."""

    async def test_an_executed_and_a_forked_helper_have_the_users_rights_only(self) -> None:
        executed = FilesHelper()
        self.addAsyncCleanup(executed.close)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await executed.wait_ready()
        found = helpers()
        self.assertEqual(len(found), 2)
        for pid, status in found.items():
            lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            for name in ("Uid", "Gid"):
                real, _, saved, file_system = map(int, lines[name].split())
                self.assertEqual((real, saved, file_system), (AGENT_UID, AGENT_UID, KERNEL_UID))
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(lines[name], 16), 0, name)
            self.assertEqual((lines["Groups"].strip(), lines["NoNewPrivs"]), ("", "1"))
            self.assertEqual(lines["Threads"], "1")
            self.assertNotIn(pid, user_processes())

    async def test_a_helper_may_not_do_what_the_user_may_not_do(self) -> None:
        secret = self.path("secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("root's")
        os.chmod(secret, 0o600)
        await self.refused("permission_denied", "read", "secret")
        os.symlink("/etc/shadow", self.path("link"))
        await self.refused("permission_denied", "read", "link")
        for path in ("/proc/1/environ", "/proc/self/environ", "/proc/self/fd/0", "/dev/fd/0"):
            with self.subTest(path), self.assertRaises(FileRefused) as caught:
                await self.helper.ask("read", {"path": path})
            self.assertIn(caught.exception.code, ("permission_denied", "too_many_links"))

    async def test_entries_that_a_helper_makes_belong_to_the_user(self) -> None:
        await self.write("new/file", b"x", make_parents=True)
        for name in ("new", "new/file"):
            status = os.stat(self.path(name))
            self.assertEqual((status.st_uid, status.st_gid), (KERNEL_UID, KERNEL_UID))


class Death(WithFiles):
    """A helper that is killed."""

    async def test_a_killed_helper_is_replaced_and_its_orders_are_refused(self) -> None:
        writing = await self.helper.ask("write", {"path": self.path("file")})
        os.close(writing.descriptor or 0)
        (pid,) = helpers()
        os.kill(pid, signal.SIGSTOP)
        waiting = asyncio.create_task(self.helper.ask("stat", {"path": self.folder}))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with self.assertRaises(FileRefused) as caught:
            await waiting
        self.assertEqual(caught.exception.code, "unavailable")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.helper.wait_ready()
        await self.refused("not_found", "stat", "file")
        await self.write("file", b"new")
        self.assertEqual(await self.read("file"), b"new")
        await self.refused("unavailable", "finish_write", writing=writing.fields["writing"] + 1)


class Stuck(WithFiles):
    """A helper that is stopped, and takes no more orders."""

    def stop_helper(self) -> int:
        """Stop the helper until it is killed; returns its pid."""
        (pid,) = helpers()
        os.kill(pid, signal.SIGSTOP)
        return pid

    async def fill_socket(self) -> list[asyncio.Task[Answered]]:
        """Give orders until the helper's socket is full; returns the orders that wait for an answer."""
        waiting: list[asyncio.Task[Answered]] = []
        while True:
            order = asyncio.create_task(self.helper.stream("stat", {"path": self.folder}))
            await asyncio.sleep(0)
            if order.done():
                with self.assertRaises(FileRefused) as caught:
                    order.result()
                self.assertEqual(caught.exception.code, "busy")
                return waiting
            waiting.append(order)

    async def test_a_stuck_helper_is_replaced_even_if_its_socket_is_full(self) -> None:
        stuck = self.stop_helper()
        with mock.patch.object(helper, "ANSWER_TIMEOUT_SECONDS", LIMIT_MS / 1000):
            late = asyncio.create_task(self.ask("stat"))
            await asyncio.sleep(0)
        waiting = await self.fill_socket()
        pass_limit()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with self.assertRaises(FileRefused) as caught:
                await late
            self.assertEqual(caught.exception.code, "timed_out")
            for order in waiting:
                with self.assertRaises(FileRefused) as caught:
                    await order
                self.assertEqual(caught.exception.code, "unavailable")
            await self.helper.wait_ready()
            await self.ask("stat")
        self.assertNotIn(stuck, helpers())

    async def test_a_caller_can_be_cancelled_even_if_the_socket_of_the_helper_is_full(self) -> None:
        self.stop_helper()
        waiting = await self.fill_socket()
        for order in waiting:
            order.cancel()
        await asyncio.wait(waiting)
        self.assertTrue(all(order.cancelled() for order in waiting))


if __name__ == "__main__":
    unittest.main()
