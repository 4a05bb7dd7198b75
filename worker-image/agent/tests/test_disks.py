"""How many bytes the disks of a container hold, measured on a file system in memory."""

import os
import tempfile
import unittest

from cellhouse_agent.usage.container import DiskUse, disk_use

IN_MEMORY = "/dev/shm"


class Disks(unittest.TestCase):
    """disk_use."""

    def test_a_file_takes_its_size_until_it_is_gone(self) -> None:
        before = disk_use([IN_MEMORY])
        with tempfile.NamedTemporaryFile(dir=IN_MEMORY) as file:
            file.write(b"x" * 1_000_000)
            file.flush()
            during = disk_use([IN_MEMORY])
        self.assertGreaterEqual(during.used_bytes, before.used_bytes + 1_000_000)
        self.assertLess(during.used_bytes, before.used_bytes + 1_100_000)
        self.assertEqual(during.limit_bytes, before.limit_bytes)
        self.assertEqual(disk_use([IN_MEMORY]), before)

    def test_folders_on_the_same_disk_count_once(self) -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            self.assertEqual(disk_use([IN_MEMORY, folder]), disk_use([IN_MEMORY]))

    def test_a_folder_that_does_not_exist_does_not_count(self) -> None:
        self.assertEqual(disk_use([os.path.join(IN_MEMORY, "nothing")]), DiskUse(0, 0))
