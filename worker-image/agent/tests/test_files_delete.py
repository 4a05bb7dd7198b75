"""Deleting a file, folder or link only if it has the version that the caller knows."""

import os
import unittest

from tests.with_files import WithFiles

STALE = '"1-2-3-4"'


class Versions(WithFiles):
    """Which versions may be deleted."""

    async def tag(self, name: str, follow: bool = False) -> str:
        """The entity tag of the entry with this name."""
        return str((await self.ask("stat", name, follow=follow))["etag"])

    async def test_a_file_is_deleted_only_in_the_version_that_the_caller_names(self) -> None:
        await self.write("file", b"one")
        first = await self.tag("file")
        await self.write("file", b"two")
        await self.refused("precondition_failed", "delete", "file", if_match=first)
        second = await self.tag("file")
        await self.refused("precondition_failed", "delete", "file", if_none_match=second)
        await self.refused("precondition_failed", "delete", "file", if_none_match="*")
        self.assertEqual(await self.read("file"), b"two")
        deleted = await self.ask("delete", "file", if_match=f"{first}, {second}")
        self.assertEqual(deleted, {"size": 3, "files": 1})
        await self.refused("not_found", "delete", "file", if_match="*")

    async def test_a_folder_has_another_version_once_its_entries_have_changed(self) -> None:
        await self.write("folder/one", b"1", make_parents=True)
        before = await self.tag("folder")
        await self.write("folder/two", b"2")
        for recursive in (False, True):
            await self.refused(
                "precondition_failed", "delete", "folder", if_match=before, recursive=recursive
            )
        self.assertEqual(sorted(os.listdir(self.path("folder"))), ["one", "two"])
        now = await self.tag("folder")
        await self.ask("delete", "folder", if_match=now, recursive=True)
        await self.refused("not_found", "stat", "folder")

    async def test_a_link_has_its_own_version_and_that_of_its_target(self) -> None:
        await self.write("target", b"x")
        for follow in (False, True):
            os.symlink("target", self.path("link"))
            await self.refused("precondition_failed", "delete", "link", if_match=STALE)
            tag = await self.tag("link", follow)
            await self.refused("precondition_failed", "delete", "link", if_none_match=tag)
            await self.ask("delete", "link", if_match=tag)
            self.assertFalse(os.path.lexists(self.path("link")))
            self.assertEqual(await self.read("target"), b"x")

    async def test_a_link_that_leads_nowhere_has_its_own_version_only(self) -> None:
        for goal in ("nowhere", "link", "/proc/self/environ"):
            with self.subTest(goal):
                os.symlink(goal, self.path("link"))
                await self.refused("precondition_failed", "delete", "link", if_match=STALE)
                await self.ask("delete", "link", if_match=await self.tag("link"))


if __name__ == "__main__":
    unittest.main()
