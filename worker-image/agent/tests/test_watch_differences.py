"""The events of a watcher, which are the differences between two snapshots."""

import stat
import unittest

from cellhouse_files.snapshots import ROOT, Node, Snapshot, differences

FILE, FOLDER, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def node(inode: int, mode: int = FILE, size: int = 1, time: int = 0, uid: int = 1) -> Node:
    """An entry. Unless `time` is given, its time is the number of its inode."""
    return Node(mode, 1, inode, uid, 1, size, time or inode)


def diff(before: Snapshot, after: Snapshot) -> list[str]:
    """The events, each as one text."""
    root = {ROOT: node(1, FOLDER)}
    return [f"{kind} {name.decode()}" for kind, name in differences(root | before, root | after)]


class Differences(unittest.TestCase):
    """Events from one snapshot to the next."""

    def test_a_new_size_and_time_of_a_folder_is_no_event(self) -> None:
        before = {b"a": node(2), b"d": node(3, FOLDER, size=1)}
        self.assertEqual(diff(before, before | {b"d": node(3, FOLDER, size=2, time=9)}), [])

    def test_new_files_folders_and_links_are_created(self) -> None:
        after = {
            b"a": node(2),
            b"d": node(3, FOLDER),
            b"d/empty": node(4, size=0),
            b"l": node(5, LINK),
        }
        self.assertEqual(
            diff({}, after), ["create a", "write a", "create d", "create d/empty", "create l"]
        )

    def test_removals_from_a_folder_come_before_its_own_removal(self) -> None:
        before = {b"d": node(2, FOLDER), b"d/x": node(3), b"d/y": node(4), b"z": node(5)}
        self.assertEqual(diff(before, {}), ["remove z", "remove d/y", "remove d/x", "remove d"])

    def test_a_new_size_time_or_inode_of_a_file_is_a_write(self) -> None:
        before = {b"a": node(2), b"b": node(3), b"c": node(4)}
        after = {
            b"a": node(2, size=2),
            b"b": node(3, time=9),
            b"c": node(14),
        }
        self.assertEqual(diff(before, after), ["write a", "write b", "write c"])

    def test_new_rights_or_owners_are_a_chmod(self) -> None:
        before = {b"a": node(2), b"b": node(3), b"d": node(4, FOLDER)}
        after = {
            b"a": node(2, stat.S_IFREG | 0o600),
            b"b": node(3, uid=2, size=2),
            b"d": node(4, stat.S_IFDIR | 0o700),
        }
        self.assertEqual(diff(before, after), ["chmod a", "write b", "chmod b", "chmod d"])

    def test_a_moved_file_is_renamed_and_a_second_name_is_created(self) -> None:
        before = {b"a": node(2), b"d": node(3, FOLDER)}
        self.assertEqual(diff(before, {**before, b"b": node(2)})[0], "create b")
        after = {b"d": before[b"d"], b"d/b": node(2)}
        self.assertEqual(diff(before, after), ["rename a", "create d/b"])

    def test_a_file_that_is_moved_over_another_is_renamed(self) -> None:
        before = {b"a": node(2), b"b": node(3)}
        self.assertEqual(diff(before, {b"a": node(3)}), ["rename b", "create a"])

    def test_a_rotated_log_is_renamed_and_a_new_one_created(self) -> None:
        before, after = {b"log": node(2)}, {b"log": node(3), b"log.1": node(2)}
        self.assertEqual(
            diff(before, after), ["rename log", "create log", "write log", "create log.1"]
        )

    def test_files_moved_in_a_chain_are_all_renamed(self) -> None:
        before, after = {b"a": node(2), b"b": node(3)}, {b"b": node(2), b"c": node(3)}
        self.assertEqual(diff(before, after), ["rename b", "rename a", "create b", "create c"])

    def test_a_new_file_with_the_inode_of_a_removed_one_is_not_renamed(self) -> None:
        self.assertEqual(
            diff({b"a": node(2)}, {b"b": node(2, time=9)}), ["remove a", "create b", "write b"]
        )

    def test_a_renamed_folder_gives_no_events_for_unchanged_content(self) -> None:
        before = {
            b"d": node(2, FOLDER),
            b"d/e": node(3, FOLDER),
            b"d/e/x": node(4),
            b"d/gone": node(5),
            b"d/written": node(6),
        }
        after = {
            b"n": node(2, FOLDER),
            b"n/e": node(3, FOLDER, time=9),
            b"n/e/new": node(7),
            b"n/e/x": node(4),
            b"n/written": node(6, time=9),
        }
        self.assertEqual(
            diff(before, after),
            [
                *("remove d/gone", "rename d", "create n"),
                *("create n/e/new", "write n/e/new", "write n/written"),
            ],
        )

    def test_a_folder_that_has_changed_before_it_was_moved_is_renamed(self) -> None:
        before = {b"d": node(2, FOLDER), b"d/x": node(3)}
        after = {b"n": node(2, FOLDER, size=2, time=9), b"n/x": node(3), b"n/y": node(4)}
        self.assertEqual(diff(before, after), ["rename d", "create n", "create n/y", "write n/y"])

    def test_of_two_names_of_a_moved_file_one_is_renamed_and_one_removed(self) -> None:
        before, after = {b"a": node(2), b"b": node(2)}, {b"c": node(2)}
        self.assertEqual(diff(before, after), ["remove b", "rename a", "create c"])

    def test_an_entry_of_another_kind_is_removed_and_created(self) -> None:
        self.assertEqual(
            diff(
                {b"a": node(2), b"d": node(3, FOLDER), b"d/x": node(4), b"e": node(5, FOLDER)},
                {b"a": node(12, FOLDER), b"d": node(13), b"e": node(15, FOLDER)},
            ),
            [
                *("remove e", "remove d/x", "remove d", "remove a"),
                *("create a", "create d", "write d", "create e"),
            ],
        )

    def test_the_watched_folder_itself_gives_events_too(self) -> None:
        root = {ROOT: node(1, FOLDER)}
        self.assertEqual(
            [tuple(event) for event in differences(root | {b"a": node(2)}, {})],
            [("remove", b"a"), ("remove", ROOT)],
        )
        closed = {ROOT: node(1, stat.S_IFDIR | 0o700)}
        self.assertEqual([tuple(e) for e in differences(root, closed)], [("chmod", ROOT)])


if __name__ == "__main__":
    unittest.main()
