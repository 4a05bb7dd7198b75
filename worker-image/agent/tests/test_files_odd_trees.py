"""Folders that change while they are listed or deleted, and files with times that zip cannot express."""

import io
import os
import shutil
import tempfile
import unittest
import zipfile

from cellhouse_files.operations.delete import REMOVALS_PER_TURN, Removal
from cellhouse_files.operations.listing import Listing
from cellhouse_files.paths import open_folder
from cellhouse_files.refusals import Refused
from cellhouse_kernel.privileges import KERNEL_UID
from tests.with_files import WithFiles

LIMIT = 1_000
# After this many entries, other operations have a turn.
ENTRIES_PER_TURN = 100


class ListingTest(unittest.TestCase):
    """A page of a listing, made turn by turn."""

    def test_names_that_vanish_meanwhile_make_room_for_later_names(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        names = [f"{number:04}" for number in range(3 * LIMIT)]
        for name in names:
            os.close(os.open(f"{folder}/{name}", os.O_CREAT))
        listing = Listing(os.fsencode(folder), 1, (), LIMIT, hidden=())
        turns = listing.add_entries(open_folder(os.fsencode(folder)), ())
        while f'"name": "{names[ENTRIES_PER_TURN - 1]}"' not in listing.page():
            next(turns)
        gone = names[ENTRIES_PER_TURN : 2 * LIMIT]
        for name in gone:
            os.unlink(f"{folder}/{name}")
        for _ in turns:
            pass
        page = listing.page()
        self.assertEqual(page.count('"name"'), LIMIT)
        self.assertIn(f'"name": "{names[2 * LIMIT]}"', page)
        self.assertNotIn('"next": null', page)


class RemovalTest(unittest.TestCase):
    """A folder that code changes while it is deleted, turn by turn."""

    def setUp(self) -> None:
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.inner = f"{self.folder}/tree/inner"
        os.makedirs(self.inner)
        for number in range(2 * REMOVALS_PER_TURN):
            os.close(os.open(f"{self.inner}/{number}", os.O_CREAT))
        fd = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        self.removal = Removal()
        self.turns = self.removal.remove_tree(b"tree", fd, os.stat(f"{self.folder}/tree"))
        next(self.turns)
        self.assertGreater(self.removal.files, 0)

    def test_a_folder_that_code_deletes_meanwhile_counts_as_deleted(self) -> None:
        shutil.rmtree(self.inner)
        for _ in self.turns:
            pass
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_folder_that_code_moves_away_meanwhile_is_refused_as_not_empty(self) -> None:
        os.rename(self.inner, f"{self.folder}/elsewhere")
        with self.assertRaises(Refused) as refused:
            for _ in self.turns:
                pass
        self.assertEqual(refused.exception.code, "not_empty")


class ZipTest(WithFiles):
    """Archives of a file system in memory, on which files can have any time."""

    async def test_a_time_that_zip_cannot_express_becomes_the_nearest_one(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm"))
        for name, seconds in {"never": 2**60, "before": -(2**40)}.items():
            os.close(os.open(f"{folder}/{name}", os.O_CREAT))
            os.utime(f"{folder}/{name}", (seconds, seconds))
        os.chown(folder, KERNEL_UID, KERNEL_UID)
        with tempfile.TemporaryFile() as archive:
            fields = {"path": folder, "format": "zip"}
            await self.helper.stream("read_archive", fields, archive.fileno())
            archive.seek(0)
            members = zipfile.ZipFile(io.BytesIO(archive.read())).infolist()
        years = {member.filename: member.date_time[0] for member in members}
        self.assertEqual(years, {"never": 2106, "before": 1980})


if __name__ == "__main__":
    unittest.main()
