"""Unpacking archives, and which archives are refused."""

import io
import os
import tarfile
import unittest
from unittest import mock

from cellhouse_agent.files.helper import FileRefused
from cellhouse_files import server
from cellhouse_files.archives import writing
from cellhouse_files.archives.tar_header import (
    BLOCK_BYTES,
    FILE,
    FOLDER,
    LONG_NAME,
    PAX_GLOBAL,
    Header,
    header_bytes,
)
from cellhouse_kernel.privileges import KERNEL_UID
from tests.with_archives import END, WithArchives, member


# In place of MAX_MEMBERS.
FEW_MEMBERS = 5_000


class In(WithArchives):
    """Unpacking."""

    async def test_archives_of_three_formats_are_unpacked(self) -> None:
        self.make_tree()
        # The oldest format (ustar) cannot hold every longer path.
        for format, longest in (
            (tarfile.GNU_FORMAT, 4_095),
            (tarfile.PAX_FORMAT, 4_095),
            (tarfile.USTAR_FORMAT, 100),
        ):
            with self.subTest(format):
                counted = await self.unpack(self.packed("tree", format, longest), f"in-{format}")
                expected = {
                    name: data for name, data in self.found("tree").items() if len(name) <= longest
                }
                self.assertEqual(self.found(f"in-{format}"), expected)
                files = [data for data in expected.values() if data is not None]
                self.assertEqual(counted, {"files": len(files), "size": sum(map(len, files))})
                status = os.stat(self.path(f"in-{format}/plain"))
                self.assertEqual((status.st_uid, status.st_mtime), (KERNEL_UID, 1_000_000_000))

    def packed(self, name: str, format: int, longest: int) -> bytes:
        """The archive that Python makes of a folder, without paths longer than `longest`."""
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=format, errors="surrogateescape") as tar:
            tar.add(
                self.path(name),
                arcname=".",
                filter=lambda entry: None if len(entry.name) > longest + 2 else entry,
            )
        return file.getvalue()

    async def test_archives_that_the_helper_has_packed_are_unpacked(self) -> None:
        self.make_tree()
        await self.unpack(await self.pack("tree"))
        self.assertEqual(self.found("in"), self.found("tree"))

    async def test_a_forbidden_member_is_refused_and_the_members_before_it_stay(
        self,
    ) -> None:
        bad = {
            "leads upwards": member(b"../evil"),
            "leads upwards in the middle": member(b"sub/../../evil"),
            "leads upwards to a folder": member(b"sub/..", kind=FOLDER),
            "is absolute": member(os.fsencode(self.path("evil"))),
            "has a long name that leads upwards": member(b"x/" * 60 + b"../../evil"),
            "has no name": member(b""),
            "has a name of 256 bytes": member(b"n" * 256),
            "has a path of 4,096 bytes": member(b"p/" * 2_048 + b"p"),
            "is a hard link": member(b"evil", kind=b"1"),
            "is a link": member(b"evil", kind=b"2"),
            "is a character device": member(b"evil", kind=b"3"),
            "is a block device": member(b"evil", kind=b"4"),
            "is a FIFO": member(b"evil", kind=b"6"),
            "is of a kind that nobody knows": member(b"evil", kind=b"?"),
            "has a name that is too long to read": header_bytes(Header(b"", LONG_NAME, 65_537)),
            "has malformed properties": member(b"", b"nonsense", kind=b"x"),
            "has properties that are cut": member(b"", b"99 path=evil\n", kind=b"x"),
            "has a path in its properties that leads upwards": member(
                b"", b"16 path=../evil\n", kind=b"x"
            )
            + member(b"good"),
            "has a size that is not a number": member(b"", b"10 size=-\n", kind=b"x")
            + member(b"evil"),
            "has a damaged header": b"x" + member(b"evil")[1:],
            "is not an archive": b"no tar" * 1_000,
        }
        for what, data in bad.items():
            with self.subTest(what):
                before = member(b"before", what.encode())
                await self.unpacking_is_refused(before + data + END)
                found = self.found("in")
                self.assertEqual(found.pop("before"), what.encode())
                self.assertEqual([name for name in found if "evil" in name or "part" in name], [])
                self.assertFalse(os.path.lexists(self.path("evil")))

    async def test_no_link_in_the_folder_is_followed(self) -> None:
        for name in ("in", "elsewhere"):
            self.make_folder(name)
        os.symlink("../elsewhere", self.path("in/sub"))
        os.symlink("../elsewhere/file", self.path("in/file"))
        await self.unpacking_is_refused(member(b"sub/file", b"x") + END, "not_a_directory")
        await self.unpacking_is_refused(member(b"sub/", kind=FOLDER) + END, "not_a_directory")
        await self.unpacking_is_refused(member(b"file", b"x") + END, "not_a_file")
        self.assertEqual(os.listdir(self.path("elsewhere")), [])

    async def test_an_archive_that_is_cut_anywhere_leaves_each_file_whole(self) -> None:
        await self.write("in/b", b"old", make_parents=True)
        whole = member(b"a", b"first") + member(b"b", b"second" * 100) + END
        ends = (0, 1, 511, 512, 514, 517, 1_023, 1_024, 1_500, 1_536, 1_900, 2_136, 2_500, 2_560)
        for end in ends:
            with self.subTest(end):
                await self.unpacking_is_refused(whole[:end])
                found = self.found("in")
                self.assertIn(found.pop("b"), (b"old", b"second" * 100))
                self.assertIn(found.pop("a", b"first"), (b"first",))
                self.assertEqual(found, {})
        self.assertEqual(await self.unpack(whole[:2_561] + bytes(511)), {"files": 2, "size": 605})

    async def test_an_archive_with_too_many_members_is_refused(self) -> None:
        self.enterContext(mock.patch.object(writing, "MAX_MEMBERS", FEW_MEMBERS))
        await self.begin_helper()
        for what, piece in (
            ("folders", member(b"./", kind=FOLDER)),
            ("headers without a member", member(b"", kind=PAX_GLOBAL)),
        ):
            many = piece * 1_000
            with self.subTest(what), self.assertRaises(FileRefused) as caught:
                await self.unpack(many, copies=100)
            self.assertEqual(caught.exception.code, "too_large")
            # Beyond the limit, the helper took no more than the pipe holds.
            self.assertLess(self.taken, (FEW_MEMBERS + 2_000) * BLOCK_BYTES)

    async def test_an_archive_is_refused_if_its_descriptor_is_lost(self) -> None:
        # Linux drops a descriptor that a process cannot take, for lack of space in its buffer or of a free descriptor.
        self.enterContext(mock.patch.object(server, "MAX_DESCRIPTORS", 0))
        await self.begin_helper()
        with self.assertRaisesRegex(FileRefused, "too many files open") as caught:
            await self.unpack(END)
        self.assertEqual(caught.exception.code, "busy")
        with self.assertRaisesRegex(FileRefused, "too many files open"):
            await self.pack("")

    async def test_a_member_with_a_huge_size_and_little_content_leaves_no_file(self) -> None:
        await self.unpacking_is_refused(header_bytes(Header(b"huge", FILE, 2**62)) + b"x" * 1_000)
        await self.unpacking_is_refused(header_bytes(Header(b"huge", FILE, 2**63)) + b"x" * 1_000)
        self.assertEqual(self.found("in"), {})


if __name__ == "__main__":
    unittest.main()
