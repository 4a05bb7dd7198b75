"""The entries of files, folders and links in the helper's answers, and the folders above the new path of a move."""

import os
import unittest

from cellhouse_agent.files.helper import FileRefused
from cellhouse_kernel.privileges import KERNEL_UID
from tests.with_files import WithFiles

# The ID of no user and no group.
NOBODYS_ID = 54_321


class Owners(WithFiles):
    """The owner of a file."""

    async def test_an_entry_has_the_names_of_its_owner_and_its_group(self) -> None:
        await self.write("file", b"x")
        entry = await self.ask("stat", "file")
        self.assertEqual((entry["owner"], entry["group"]), ("user", "user"))
        os.chown(self.path("file"), 0, NOBODYS_ID)
        entry = await self.ask("stat", "file")
        self.assertEqual((entry["owner"], entry["group"]), ("root", str(NOBODYS_ID)))


class Links(WithFiles):
    """What a link leads to."""

    async def leads_to(self, target: str) -> object:
        """The field `leads_to` of a new link to a target."""
        link = self.path("link")
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(target, link)
        return (await self.ask("stat", "link"))["leads_to"]

    async def test_the_entry_of_a_link_describes_its_final_target(self) -> None:
        self.make_folder("folder")
        os.chmod(self.path("folder"), 0o700)
        os.symlink("folder", self.path("first"))
        end = {"kind": "directory", "mode": 0o700, "path": os.path.realpath(self.path("folder"))}
        self.assertEqual(await self.leads_to("first"), end)
        self.assertEqual(await self.leads_to(self.path("first")), end)

    async def test_a_link_leads_nowhere_where_the_user_may_not_look(self) -> None:
        self.make_folder("closed")
        await self.write("closed/file", b"x")
        os.chown(self.path("closed"), 0, 0)
        os.chmod(self.path("closed"), 0o700)
        for target in ("missing", "link", "closed/file", "/proc/self/exe", "/proc/self", "/sys"):
            with self.subTest(target):
                self.assertIsNone(await self.leads_to(target))

    async def test_only_links_lead_somewhere(self) -> None:
        await self.write("file", b"x")
        self.assertNotIn("leads_to", await self.ask("stat", "file"))
        os.symlink("file", self.path("link"))
        self.assertNotIn("leads_to", await self.ask("stat", "link", follow=True))


class Moves(WithFiles):
    """Folders above the new path of a move."""

    async def move(self, name: str, to: str, **flags: bool) -> None:
        """Move a name in the folder."""
        paths = {"from": self.path(name), "to": self.path(to)}
        await self.helper.ask("move", {**paths, **flags})

    async def test_missing_folders_are_made_if_the_caller_wants_it(self) -> None:
        await self.write("file", b"x")
        with self.assertRaises(FileRefused) as caught:
            await self.move("file", "a/b/c")
        self.assertEqual(caught.exception.code, "not_found")
        await self.move("file", "a/b/c", make_parents=True)
        self.assertEqual(await self.read("a/b/c"), b"x")
        self.assertEqual(os.stat(self.path("a/b")).st_uid, KERNEL_UID)

    async def test_missing_folders_are_not_made_if_there_is_nothing_to_move(self) -> None:
        with self.assertRaises(FileRefused) as caught:
            await self.move("nothing", "a/b", make_parents=True)
        self.assertEqual(caught.exception.code, "not_found")
        self.assertFalse(os.path.exists(self.path("a")))


if __name__ == "__main__":
    unittest.main()
