"""The comparison of two snapshots of a folder, with inotify and without."""

import os
import shutil
import tempfile
import unittest
from itertools import chain, repeat
from pathlib import Path
from unittest import mock

from cellhouse_files import home_tree
from cellhouse_files.home_changes import HomeChanges
from cellhouse_files.home_tree import (
    ENTRIES_PER_CLOCK_READING,
    MAX_DEPTH,
    MAX_ENTRIES,
    MAX_WATCHES,
    TooMuch,
)
from cellhouse_files.inotify import queued_bytes

# Far more CPU time than a look takes, for tests that are not about the limit.
PLENTY_MS = 10_000.0
# In place of MAX_ENTRIES.
FEW_ENTRIES = 100
# A file that the API is writing.
PART = b".cellhouse-part-0123"


class WithHome(unittest.TestCase):
    """A fresh folder for each test."""

    has_inotify = True

    def setUp(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.home = HomeChanges(os.fsencode(self.folder), {PART}, self.has_inotify)
        self.addCleanup(self.home.close)
        self.home.renew(PLENTY_MS)

    def write(self, path: str, text: str = "x") -> None:
        """Write a file, and make the folders above it."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def look(self) -> dict[str, str]:
        """The kinds of change since the last look, by path."""
        return {path: kind for path, kind, _ in self.home.look(PLENTY_MS)}

    def assert_too_much(self, reason: str) -> None:
        """Assert that the next look gives this reason."""
        with self.assertRaises(TooMuch) as caught:
            self.home.look(PLENTY_MS)
        self.assertEqual(caught.exception.reason, reason)


class Differences(WithHome):
    """The changes that a look finds."""

    def test_created_modified_and_deleted_files_are_found(self) -> None:
        self.assertEqual(self.look(), {})
        self.write("a")
        self.write("sub/deep/b")
        self.write(".env")
        self.assertEqual(self.look(), {"a": "created", "sub/deep/b": "created", ".env": "created"})
        self.write("a", "longer")
        self.write("sub/deep/c")
        (self.folder / ".env").unlink()
        found = {"a": "modified", "sub/deep/c": "created", ".env": "deleted"}
        self.assertEqual(self.look(), found)
        self.assertEqual(self.look(), {})

    def test_a_file_of_the_same_size_and_time_under_the_same_name_is_modified(self) -> None:
        self.write("a", "1")
        self.look()
        status = (self.folder / "a").stat()
        self.write("b", "2")
        os.utime(self.folder / "b", ns=(status.st_atime_ns, status.st_mtime_ns))
        (self.folder / "b").rename(self.folder / "a")
        self.assertEqual(self.look(), {"a": "modified"})

    def test_entries_that_end_as_they_began_did_not_change(self) -> None:
        self.write("keep/a")
        self.look()
        self.write("short")
        (self.folder / "short").unlink()
        (self.folder / "keep").rename(self.folder / "away")
        (self.folder / "away").rename(self.folder / "keep")
        self.assertEqual(self.look(), {})

    def test_files_of_a_moved_folder_are_deleted_and_created(self) -> None:
        self.write("old/x/a")
        self.look()
        (self.folder / "old").rename(self.folder / "new")
        self.assertEqual(self.look(), {"old/x/a": "deleted", "new/x/a": "created"})
        self.write("new/x/a", "longer")
        self.assertEqual(self.look(), {"new/x/a": "modified"})

    def test_a_folder_that_replaced_another_is_compared_file_by_file(self) -> None:
        self.write("data/a")
        self.write("data/b")
        self.look()
        shutil.rmtree(self.folder / "data")
        self.write("data/b")
        self.write("data/c")
        found = {"data/a": "deleted", "data/b": "modified", "data/c": "created"}
        self.assertEqual(self.look(), found)

    def test_a_file_that_replaced_a_folder_and_the_reverse_are_found(self) -> None:
        self.write("x/a")
        self.look()
        shutil.rmtree(self.folder / "x")
        self.write("x")
        self.assertEqual(self.look(), {"x/a": "deleted", "x": "created"})
        (self.folder / "x").unlink()
        self.write("x/a")
        self.assertEqual(self.look(), {"x/a": "created", "x": "deleted"})

    def test_folders_of_programs_links_and_parts_are_left_out(self) -> None:
        self.write(".cache/a")
        self.write("sub/.git/b")
        self.write("sub/__pycache__/c.pyc")
        self.write(os.fsdecode(PART))
        self.write("sub/file")
        (self.folder / "link").symlink_to("sub/file")
        (self.folder / "folder-link").symlink_to("sub")
        (self.folder / "loop").symlink_to("loop")
        os.mkfifo(self.folder / "fifo")
        self.assertEqual(self.look(), {"sub/file": "created"})
        (self.folder / "sub" / "file").unlink()
        (self.folder / "sub" / "file").symlink_to("/etc/passwd")
        self.assertEqual(self.look(), {"sub/file": "deleted"})

    def test_a_file_of_the_user_that_is_named_like_a_part_counts(self) -> None:
        self.write(".cellhouse-part-0124")
        self.assertEqual(self.look(), {".cellhouse-part-0124": "created"})

    def test_a_link_in_the_place_of_a_folder_is_not_followed(self) -> None:
        outside = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (outside / "secret").write_text("1", encoding="utf-8")
        self.write("sub/a")
        self.look()
        shutil.rmtree(self.folder / "sub")
        (self.folder / "sub").symlink_to(outside)
        (outside / "more").write_text("1", encoding="utf-8")
        self.assertEqual(self.look(), {"sub/a": "deleted"})

    def test_names_of_any_bytes_are_found(self) -> None:
        for name in (b"\xff\xfe", b"a\nb", b'"', b"\\", "ü".encode(), b" "):
            with open(os.path.join(os.fsencode(self.folder), name), "wb"):
                pass
        names = {os.fsencode(path) for path in self.look()}
        self.assertEqual(names, {b"\xff\xfe", b"a\nb", b'"', b"\\", "ü".encode(), b" "})

    def test_changes_that_the_api_made_are_not_reported(self) -> None:
        self.write("in/up.csv")
        self.home.absorb([b"in/up.csv"])
        self.assertEqual(self.look(), {})
        self.write("code")
        self.write("in/up.csv", "longer")
        self.write("in/code")
        self.home.absorb([b"in/up.csv", b"in/never"])
        self.assertEqual(self.look(), {"code": "created", "in/code": "created"})
        shutil.rmtree(self.folder / "in")
        self.home.absorb([b"in"])
        self.assertEqual(self.look(), {})

    def test_the_content_of_an_unreadable_folder_counts_as_unchanged(self) -> None:
        if os.geteuid() == 0:
            # Root may read everything, so act as another user. The real user stays root, so this can be undone.
            os.chown(self.folder, 65_534, 65_534)
            os.seteuid(65_534)
            self.addCleanup(os.seteuid, 0)
        self.write("closed/a")
        self.look()
        (self.folder / "closed").chmod(0)
        self.assertEqual(self.look(), {})
        (self.folder / "closed").chmod(0o700)
        self.write("closed/b")
        self.assertEqual(self.look(), {"closed/b": "created"})

    def test_a_home_with_too_many_entries_is_unknown_until_it_has_fewer(self) -> None:
        self.enterContext(mock.patch.object(home_tree, "MAX_ENTRIES", FEW_ENTRIES))
        for number in range(FEW_ENTRIES + 1):
            (self.folder / str(number)).touch()
        self.assert_too_much("too_many_entries")
        self.assert_too_much("no_earlier_look")
        with self.assertRaises(TooMuch):
            self.home.renew(PLENTY_MS)
        (self.folder / "0").unlink()
        self.home.renew(PLENTY_MS)
        (self.folder / "1").unlink()
        self.assertEqual(self.look(), {"1": "deleted"})

    def test_a_tree_that_is_too_deep_is_unknown(self) -> None:
        self.write("/".join("d" * MAX_DEPTH) + "/a")
        self.assertEqual(len(self.look()), 1)
        self.write("/".join("e" * (MAX_DEPTH + 1)) + "/a")
        self.assert_too_much("too_deep")

    def test_a_look_that_takes_too_long_is_given_up(self) -> None:
        for number in range(2 * ENTRIES_PER_CLOCK_READING):
            (self.folder / str(number)).touch()
        with self.assertRaises(TooMuch) as caught:
            self.home.look(0.0)
        self.assertEqual(caught.exception.reason, "too_slow")
        self.home.renew(PLENTY_MS)
        self.write("7", "longer")
        self.assertEqual(self.look(), {"7": "modified"})

    def test_a_step_of_the_cpu_clock_does_not_make_a_look_too_long(self) -> None:
        for number in range(2 * ENTRIES_PER_CLOCK_READING):
            (self.folder / str(number)).touch()
        steps = chain([0.0], repeat(1e9))
        with mock.patch("time.thread_time", side_effect=steps):
            changes = self.look()
        self.assertEqual(len(changes), 2 * ENTRIES_PER_CLOCK_READING)


class DifferencesWithoutInotify(Differences):
    """The same tests, on a system that has no instance of inotify left."""

    has_inotify = False

    def test_no_descriptor_shows_changes(self) -> None:
        self.assertIsNone(self.home.descriptor)


class Signs(WithHome):
    """Signs of changes in the descriptor of inotify, without a look."""

    def has_signs(self) -> bool:
        """Whether there may be changes."""
        return queued_bytes(self.home.descriptor or -1) > 0

    def test_writing_is_a_sign_and_reading_is_none(self) -> None:
        self.write("a")
        self.assertTrue(self.has_signs())
        self.look()
        self.assertFalse(self.has_signs())
        (self.folder / "a").read_text(encoding="utf-8")
        os.listdir(self.folder)
        self.assertFalse(self.has_signs())
        with open(self.folder / "a", "r+b") as file:
            self.assertFalse(self.has_signs())
            file.write(b"1")
        self.assertTrue(self.has_signs())
        self.look()
        os.utime(self.folder / "a", (1, 1))
        self.assertTrue(self.has_signs())

    def test_a_look_at_a_home_with_many_files_visits_only_changed_ones(self) -> None:
        for number in range(MAX_ENTRIES - 10):
            (self.folder / str(number)).touch()
        self.home.renew(PLENTY_MS)
        self.write("7", "longer")
        self.assertEqual([path for path, _, _ in self.home.look()], ["7"])

    def test_without_enough_watches_everything_is_compared_until_there_are_fewer_folders(
        self,
    ) -> None:
        for number in range(MAX_WATCHES):
            self.write(f"{number}/a")
        self.assertEqual(len(self.look()), MAX_WATCHES)
        self.assertIsNone(self.home.descriptor)
        self.write("7/a", "longer")
        self.assertEqual(self.look(), {"7/a": "modified"})
        shutil.rmtree(self.folder / "7")
        self.home.renew(PLENTY_MS)
        self.assertFalse(self.has_signs())

    def test_after_lost_events_everything_is_compared(self) -> None:
        self.write("a")
        self.write("b")
        self.look()
        for _ in range(20_000):
            os.utime(self.folder / "a")
            os.utime(self.folder / "b")
        self.write("c")
        self.assertEqual(self.look(), {"a": "modified", "b": "modified", "c": "created"})
