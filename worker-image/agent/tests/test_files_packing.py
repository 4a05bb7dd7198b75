"""Packing a folder into an archive, which Python's own tarfile and zipfile then read."""

import io
import os
import tarfile
import unittest
import zipfile

from cellhouse_agent.files.helper import FileRefused
from tests.with_archives import END, LONGEST_NAME, WithArchives


class Out(WithArchives):
    """Packing."""

    async def test_a_tar_has_each_file_folder_and_link_as_it_is(self) -> None:
        self.make_tree()
        os.symlink("plain", self.path("tree/link"))
        os.symlink("/" + "l" * 300, self.path("tree/long link"))
        os.mkfifo(self.path("tree/fifo"))
        packed = await self.pack("tree")
        with tarfile.open(fileobj=io.BytesIO(packed), errors="surrogateescape") as archive:
            members = {entry.name: entry for entry in archive}
            files = {
                name: (archive.extractfile(name) or io.BytesIO()).read()
                for name, entry in members.items()
                if entry.isfile()
            }
            links = {name: entry.linkname for name, entry in members.items() if entry.issym()}
        expected = self.found("tree")
        self.assertEqual(files, {name: data for name, data in expected.items() if data is not None})
        self.assertEqual(links, {"link": "plain", "long link": "/" + "l" * 300})
        self.assertEqual(
            set(members), {*files, *links} | {n for n in expected if expected[n] is None}
        )
        self.assertEqual((members["plain"].mode, members["plain"].mtime), (0o640, 1_000_000_000))

    async def test_a_zip_has_files_and_folders_but_no_links(self) -> None:
        self.make_tree()
        os.symlink("plain", self.path("tree/link"))
        os.utime(self.path("tree/empty"), (0, 0))
        with zipfile.ZipFile(io.BytesIO(await self.pack("tree", "zip"))) as archive:
            self.assertIsNone(archive.testzip())
            names = archive.namelist()
            self.assertEqual(archive.read("plain"), b"plain" * 100)
            self.assertEqual(archive.getinfo("plain").date_time[:3], (2001, 9, 9))
            self.assertEqual(archive.getinfo("empty/").date_time[:3], (1980, 1, 1))
        self.assertIn(LONGEST_NAME, names)
        self.assertIn("bad-\\xff", names)
        self.assertNotIn("link", names)

    async def test_an_empty_folder_makes_an_empty_archive(self) -> None:
        os.mkdir(self.path("tree"))
        self.assertEqual(await self.pack("tree"), END)
        with zipfile.ZipFile(io.BytesIO(await self.pack("tree", "zip"))) as archive:
            self.assertEqual(archive.namelist(), [])

    async def test_a_tree_with_paths_that_are_too_long_is_refused(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        os.mkdir(self.path("tree"))
        os.chdir(self.path("tree"))
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        with self.assertRaises(FileRefused) as caught:
            await self.pack("tree")
        self.assertEqual(caught.exception.code, "too_large")

    async def test_a_file_that_becomes_shorter_breaks_the_archive(self) -> None:
        os.mkdir(self.path("tree"))
        with open(self.path("tree/file"), "wb") as file:
            file.truncate(50_000_000)
        pipe, packing = await self.begin_packing("tree")
        self.assertNotEqual(await pipe.read(), b"")
        os.truncate(self.path("tree/file"), 1_000_000)
        self.assertLess(len(await self.rest_of(pipe)), 49_000_000)
        with self.assertRaises(FileRefused) as caught:
            await packing
        self.assertEqual(caught.exception.code, "busy")

    async def test_packing_something_other_than_a_folder_is_refused(self) -> None:
        await self.write("file", b"x")
        for name, code in (("file", "not_a_directory"), ("nothing", "not_found")):
            with self.subTest(name), self.assertRaises(FileRefused) as caught:
                await self.pack(name)
            self.assertEqual(caught.exception.code, code)


if __name__ == "__main__":
    unittest.main()
