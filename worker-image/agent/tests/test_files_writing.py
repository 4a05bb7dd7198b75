"""Finishing a written file while code removes it."""

import os
import tempfile
import unittest
from unittest import mock

from cellhouse_files.paths import Place
from cellhouse_files.writing import Parts, Precondition, Writing


class Finish(unittest.TestCase):
    """Writing.finish."""

    def test_a_file_that_code_removes_at_once_counts_as_written(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            place = Place(os.open(folder, os.O_RDONLY), b"file")
            writing = Writing(b"/file", place, Precondition(), Parts())
            os.write(writing.descriptor, b"abc")
            os.close(writing.descriptor)
            rename = os.rename

            def rename_and_remove(old: bytes, new: bytes, src_dir_fd: int, dst_dir_fd: int) -> None:
                rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
                os.unlink(new, dir_fd=dst_dir_fd)

            with mock.patch("os.rename", rename_and_remove):
                entry, created = writing.finish()
            self.assertEqual((entry["size"], created), (3, True))
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main()
