"""The readers of control groups, versions 1, 2 and gVisor's, on files as Linux and gVisor write them."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path

from cellhouse_agent.usage.container import UsageUnavailable, find_usage

FIXTURES = Path(__file__).parent / "fixtures"


class UsageTest(unittest.TestCase):
    """The same numbers from each version."""

    def copy(self, version: str, name: str, text: str) -> Path:
        """The fixture with one file changed."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = Path(folder.name) / version
        shutil.copytree(FIXTURES / version, root)
        (root / name).write_text(text)
        return root

    def test_reads_version_1(self) -> None:
        usage = find_usage(FIXTURES / "cgroup_v1")
        self.assertAlmostEqual(usage.cpu_ms(), 72.134161)
        # The number includes the groups below this one, but no file cache that could be reclaimed.
        self.assertEqual(usage.memory_bytes(), 12_042_240 - 10_485_760)
        self.assertEqual(usage.cache_bytes(), 10_485_760)
        self.assertEqual(usage.memory_limit_bytes(), 314_572_800)
        self.assertEqual(usage.oom_kills(), 3)

    def test_reads_version_2(self) -> None:
        usage = find_usage(FIXTURES / "cgroup_v2")
        self.assertAlmostEqual(usage.cpu_ms(), 10_570.0)
        self.assertEqual(usage.memory_bytes(), 15_949_824 - 4_059_136)
        self.assertEqual(usage.cache_bytes(), 4_059_136)
        self.assertEqual(usage.memory_limit_bytes(), 314_572_800)
        self.assertEqual(usage.oom_kills(), 2)

    def test_reads_gvisor(self) -> None:
        root = FIXTURES / "gvisor"
        usage = find_usage(root, root / "meminfo")
        self.assertAlmostEqual(usage.cpu_ms(), 580.0)
        self.assertEqual(usage.memory_bytes(), 100_000_000)
        self.assertEqual(usage.cache_bytes(), 0)
        self.assertEqual(usage.memory_limit_bytes(), 805_306_368)
        self.assertEqual(usage.oom_kills(), 0)

    def test_knows_when_there_is_no_limit(self) -> None:
        for version, name, text in (
            ("cgroup_v1", "memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup_v2", "memory.max", "max\n"),
        ):
            with self.subTest(version):
                usage = find_usage(self.copy(version, name, text))
                self.assertIsNone(usage.memory_limit_bytes())

    def test_counts_no_oom_kills_if_linux_does_not_report_them(self) -> None:
        for version, name in (
            ("cgroup_v1", "memory/memory.oom_control"),
            ("cgroup_v2", "memory.events"),
        ):
            with self.subTest(version):
                self.assertEqual(find_usage(self.copy(version, name, "")).oom_kills(), 0)

    def test_ignores_fields_whose_names_contain_the_wanted_name(self) -> None:
        text = "workingset_inactive_file 7\ninactive_file_x 8\ninactive_file 9\n"
        usage = find_usage(self.copy("cgroup_v2", "memory.stat", text))
        self.assertEqual(usage.memory_bytes(), 15_949_824 - 9)

    def test_reads_anew_each_time(self) -> None:
        root = self.copy("cgroup_v2", "memory.current", "9000000\n")
        usage = find_usage(root)
        (root / "memory.current").write_text("8000000\n")
        self.assertEqual(usage.memory_bytes(), 8_000_000 - 4_059_136)

    def test_never_reports_negative_memory(self) -> None:
        usage = find_usage(self.copy("cgroup_v2", "memory.current", "1000\n"))
        self.assertEqual(usage.memory_bytes(), 0)

    def test_refuses_files_that_it_cannot_read(self) -> None:
        with tempfile.TemporaryDirectory() as empty, self.assertRaises(UsageUnavailable):
            find_usage(Path(empty))
        with self.assertRaises(UsageUnavailable):
            find_usage(self.copy("cgroup_v2", "memory.current", "what\n"))


if __name__ == "__main__":
    unittest.main()
