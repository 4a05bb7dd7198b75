"""Parts, which are files that are still being written: who sees them, and how they go when their helper is killed."""

import asyncio
import os
import shutil
import signal
import unittest

from cellhouse_agent.files.helper import FileRefused
from cellhouse_files.archives.tar_header import FILE, Header, header_bytes
from cellhouse_files.writing import MAX_PARTS
from tests.with_archives import WithArchives, member
from tests.with_files import PATIENCE_SECONDS, helpers

# Named like a part, but a file of the user.
OWN = ".cellhouse-part-0123456789abcdef"


class WithParts(WithArchives):
    """Tests that begin to write files."""

    async def begin(self, name: str, content: bytes = b"half") -> int:
        """Begin to write a file, and write some of it; returns the number of the writing."""
        answer = await self.helper.ask("write", {"path": self.path(name)})
        with os.fdopen(answer.descriptor or 0, "wb") as file:
            file.write(content)
        return int(answer.fields["writing"])

    def names(self, folder: str = "") -> list[str]:
        """The names in the folder, as user code sees them."""
        return sorted(os.listdir(self.path(folder)))

    async def kill_helper(self) -> None:
        """Kill the helper, and wait for the next."""
        (pid,) = helpers()
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while pid in helpers() or not await self.answers():
                await asyncio.sleep(0.01)

    async def answers(self) -> bool:
        """Whether there is a helper that answers."""
        try:
            await self.ask("stat")
        except FileRefused:
            return False
        return True


class Seen(WithParts):
    """Who sees a part."""

    async def test_listings_and_archives_leave_out_parts_and_nothing_else(self) -> None:
        await self.write(OWN, b"own")
        writing = await self.begin("file")
        self.assertEqual(len(self.names()), 2)
        answer = await self.helper.ask("list", {"path": self.folder, "depth": 1, "limit": 10})
        page = os.pread(answer.descriptor or 0, answer.fields["size"], 0)
        os.close(answer.descriptor or 0)
        self.assertEqual(page.count(b'"name"'), 1)
        self.assertIn(OWN.encode(), page)
        packed = await self.pack("")
        self.assertEqual(packed.count(b".cellhouse-part-"), 1)
        self.assertIn(OWN.encode(), packed)
        await self.helper.ask("finish_write", {"writing": writing})
        self.assertEqual(self.names(), [OWN, "file"])

    async def test_at_most_max_parts_exist_at_once(self) -> None:
        writings = [await self.begin(f"file-{number}") for number in range(MAX_PARTS)]
        await self.refused("busy", "write", "one-more")
        await self.helper.ask("give_up_write", {"writing": writings.pop()})
        writings.append(await self.begin("one-more"))
        for writing in writings:
            await self.helper.ask("finish_write", {"writing": writing})
        self.assertEqual(len(self.names()), MAX_PARTS)

    async def test_unpacking_can_fail_as_busy_halfway(self) -> None:
        pipe, unpacking = await self.begin_unpacking()
        await pipe.write(memoryview(member(b"first", b"1")))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.names() != ["first"]:
                await asyncio.sleep(0.01)
        self.make_folder("others")
        for number in range(MAX_PARTS):
            await self.begin(f"others/{number}")
        await pipe.write(memoryview(member(b"second", b"2")))
        with self.assertRaises(FileRefused) as caught:
            await unpacking
        self.assertEqual(caught.exception.code, "busy")
        self.assertEqual(self.names(), ["first", "others"])


class Killed(WithParts):
    """What the next helper removes after a helper was killed."""

    async def test_the_parts_of_a_killed_helper_are_removed_and_files_of_the_user_stay(
        self,
    ) -> None:
        await self.write(OWN, b"own")
        await self.write("sub/deep/kept", b"old", make_parents=True)
        await self.begin("file")
        await self.begin("sub/deep/kept")
        await self.begin("sub/deep/new", b"")
        await self.kill_helper()
        self.assertEqual(self.names(), [OWN, "sub"])
        self.assertEqual(self.names("sub/deep"), ["kept"])
        self.assertEqual(await self.read("sub/deep/kept"), b"old")

    async def test_the_part_of_a_member_of_an_archive_is_removed(self) -> None:
        pipe, unpacking = await self.begin_unpacking()
        await pipe.write(memoryview(header_bytes(Header(b"a/b", FILE, 1_000)) + b"half"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "a" not in self.names() or not self.names("a"):
                await asyncio.sleep(0.01)
        await self.kill_helper()
        await asyncio.wait([unpacking])
        self.assertIsNotNone(unpacking.exception())
        self.assertEqual(self.names("a"), [])

    async def test_an_entry_that_code_has_put_in_place_of_a_part_stays(self) -> None:
        for name in ("exchanged", "folder", "link", "gone"):
            self.make_folder(name)
            await self.begin(f"{name}/file")
        parts = {
            name: self.path(f"{name}/{self.names(name)[0]}") for name in os.listdir(self.folder)
        }
        await self.write("users", b"user's")
        os.rename(self.path("users"), parts["exchanged"])
        os.unlink(parts["folder"])
        os.mkdir(parts["folder"])
        os.rename(parts["link"], self.path("taken"))
        os.symlink("../taken", parts["link"])
        shutil.rmtree(self.path("gone"))
        await self.kill_helper()
        with open(parts["exchanged"], "rb") as file:
            self.assertEqual(file.read(), b"user's")
        self.assertTrue(os.path.isdir(parts["folder"]))
        self.assertTrue(os.path.islink(parts["link"]))
        self.assertTrue(os.path.exists(self.path("taken")))

    async def test_each_helper_removes_the_parts_of_the_helper_before_it(self) -> None:
        for number in range(3):
            await self.begin(f"file-{number}")
            await self.kill_helper()
            self.assertEqual(self.names(), [])
        await self.write("file", b"whole")
        self.assertEqual(self.names(), ["file"])


if __name__ == "__main__":
    unittest.main()
