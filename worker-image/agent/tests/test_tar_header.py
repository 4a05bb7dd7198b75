"""Headers of tar archives, compared with those of Python's tarfile."""

import tarfile
import unittest

from cellhouse_files.archives.tar_header import (
    BLOCK_BYTES,
    FILE,
    LONG_NAME,
    SYMLINK,
    Header,
    header_bytes,
    padding,
    parse_header,
)
from cellhouse_files.refusals import Refused

ENCODING = "latin-1"
SIZE = slice(124, 136)
CHECKSUM = slice(148, 156)
# GNU tar keeps the times of access and change where POSIX has the first part of a long name.
GNU_TIMES = slice(345, 369)


def changed(block: bytes, field: slice, value: bytes) -> bytes:
    """A header with another value in one field, and the checksum that belongs to it."""
    data = bytearray(block)
    data[field], data[CHECKSUM] = value, b" " * 8
    data[CHECKSUM] = b"%06o\0 " % sum(data)
    return bytes(data)


class TarHeader(unittest.TestCase):
    """One header."""

    def test_a_header_can_be_read_by_tarfile_and_by_parse_header(self) -> None:
        for header in (
            Header(b"file", FILE, 5, 0o640, 1_700_000_000),
            Header(b"bad-\xff", FILE),
            Header(b"n" * 100, SYMLINK, link=b"l" * 100),
            Header(b"huge", FILE, 8**11),
            Header(b"late", FILE, modified_at=8**11),
        ):
            with self.subTest(header.name):
                block = header_bytes(header)
                self.assertEqual(len(block), BLOCK_BYTES)
                self.assertEqual(parse_header(block), header)
                info = tarfile.TarInfo.frombuf(block, ENCODING, "strict")
                self.assertEqual(info.name.encode(ENCODING), header.name)
                self.assertEqual(info.linkname.encode(ENCODING), header.link)
                self.assertEqual((info.size, info.mtime), (header.size, header.modified_at))

    def test_a_name_of_more_than_100_bytes_has_a_header_of_its_own(self) -> None:
        name = b"n" * 101
        data = header_bytes(Header(name, FILE))
        first = parse_header(data[:BLOCK_BYTES])
        self.assertEqual(first, Header(b"././@LongLink", LONG_NAME, 102))
        self.assertEqual(data[BLOCK_BYTES : 2 * BLOCK_BYTES], name + b"\0" + padding(len(name) + 1))

    def test_a_negative_time_is_before_1970(self) -> None:
        info = tarfile.TarInfo("old")
        info.mtime = -86_400
        block = info.tobuf(tarfile.GNU_FORMAT, ENCODING, "strict")
        header = parse_header(block)
        self.assertEqual(header and header.modified_at, -86_400)

    def test_a_time_before_1970_becomes_1970(self) -> None:
        block = header_bytes(Header(b"old", FILE, modified_at=-1))
        self.assertEqual(parse_header(block), Header(b"old", FILE))

    def test_a_posix_name_of_two_parts_is_one_path(self) -> None:
        info = tarfile.TarInfo("d" * 90 + "/" + "n" * 90)
        block = info.tobuf(tarfile.USTAR_FORMAT, ENCODING)
        self.assertEqual(parse_header(block), Header(info.name.encode(), FILE))

    def test_the_times_in_a_gnu_header_are_no_part_of_its_name(self) -> None:
        block = changed(header_bytes(Header(b"file", FILE)), GNU_TIMES, b"14712345670\0" * 2)
        self.assertEqual(parse_header(block), Header(b"file", FILE))

    def test_a_negative_size_is_refused(self) -> None:
        for size in (b"\xff" * 12, b"-0000000001\0"):
            with self.subTest(size), self.assertRaises(Refused) as caught:
                parse_header(changed(header_bytes(Header(b"file", FILE)), SIZE, size))
            self.assertEqual(caught.exception.code, "bad_archive")

    def test_a_block_of_zeros_is_the_end_and_a_damaged_one_is_refused(self) -> None:
        self.assertIsNone(parse_header(bytes(BLOCK_BYTES)))
        with self.assertRaises(Refused):
            parse_header(b"x" + header_bytes(Header(b"file", FILE))[1:])


if __name__ == "__main__":
    unittest.main()
