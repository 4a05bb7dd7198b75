"""Shared parts of the tests of the files' helper: run as root in the worker image."""

import asyncio
import gc
import os
import re
import tempfile
import unittest
from typing import Any

from cellhouse_agent.files.helper import FileRefused, FilesHelper
from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_files.helper import fork_helper
from cellhouse_kernel.forking import Forked
from cellhouse_kernel.privileges import KERNEL_UID

# Far longer than any of these tests takes.
PATIENCE_SECONDS = 60.0


def fork_as_agent() -> Forked:
    """Fork a helper as the agent does, without changing this process."""
    forked = fork_helper(before=lambda: become_user(AGENT_UID))
    # fork_early froze all objects; here, they may be freed.
    gc.unfreeze()
    return forked


class WithFiles(unittest.IsolatedAsyncioTestCase):
    """A helper, and a folder that belongs to the user."""

    async def asyncSetUp(self) -> None:
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chown(self.folder, KERNEL_UID, KERNEL_UID)
        await self.begin_helper()

    async def begin_helper(self) -> None:
        """Fork a helper. It has the limits that tests have patched in this process so far."""
        self.helper = FilesHelper(fork_as_agent())
        self.addAsyncCleanup(self.helper.close)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.helper.wait_ready()

    def path(self, name: str) -> str:
        """The absolute path of a name in the folder."""
        return f"{self.folder}/{name}"

    def make_folder(self, name: str) -> None:
        """Make a folder that belongs to the user."""
        os.mkdir(self.path(name))
        os.chown(self.path(name), KERNEL_UID, KERNEL_UID)

    async def ask(self, do: str, name: str = "", **fields: Any) -> dict[str, Any]:
        """Ask the helper; returns the fields of its answer. A descriptor in it is closed when the test ends."""
        answer = await self.helper.ask(do, {"path": self.path(name), **fields})
        if answer.descriptor is not None:
            self.addCleanup(os.close, answer.descriptor)
        return answer.fields

    async def refused(self, code: str, do: str, name: str = "", **fields: Any) -> None:
        """Assert that an operation is refused with this code."""
        with self.assertRaises(FileRefused) as caught:
            await self.ask(do, name, **fields)
        self.assertEqual(caught.exception.code, code)

    async def write(self, name: str, content: bytes, **fields: Any) -> dict[str, Any]:
        """Write a file as the agent does."""
        answer = await self.helper.ask("write", {"path": self.path(name), **fields})
        with os.fdopen(answer.descriptor or 0, "wb") as file:
            file.write(content)
        finished = await self.helper.ask("finish_write", {"writing": answer.fields["writing"]})
        return finished.fields

    async def read(self, name: str) -> bytes:
        """The content of a file."""
        answer = await self.helper.ask("read", {"path": self.path(name)})
        with os.fdopen(answer.descriptor or 0, "rb") as file:
            return file.read()


def helpers() -> dict[int, str]:
    """The status of each helper, by pid. Only a helper has the user's fsuid, but another real uid."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                status = file.read()
        except OSError:
            continue
        uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", status, re.MULTILINE)
        if uids and int(uids[4]) == KERNEL_UID != int(uids[1]):
            found[int(entry)] = status
    return found
