"""Watchers of folders, with a real helper."""

import asyncio
import json
import os
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from cellhouse_agent.files.helper import FileRefused
from cellhouse_files.operations.changes import tell_events
from cellhouse_files.paths import open_path
from cellhouse_files.refusals import Refused
from cellhouse_files.server import State
from cellhouse_files.snapshots import FolderScan, Snapshot
from cellhouse_files.turns import Turns
from cellhouse_files.watchers import MAX_WATCHERS, Watcher, Watchers, WatchOptions
from cellhouse_files.writing import Parts
from tests.with_files import WithFiles

SNAPSHOT = "cellhouse_files.snapshots"
# In place of MAX_WATCHED_ENTRIES.
FEW_ENTRIES = 100
HOUR_MS = 3_600_000
FLAT: dict[str, Any] = {"recursive": False, "entries": False, "keep_ms": HOUR_MS}
TMP = WatchOptions(b"/tmp", False, False, 60.0)


def finish[Result](turns: Turns[Result]) -> Result:
    """Carry out an operation that waits for nothing; returns its result."""
    while True:
        try:
            next(turns)
        except StopIteration as stop:
            result: Result = stop.value
            return result


class Renames:
    """Stands in for a scan's set of hidden names. Hides no name, but renames a folder at the first `times` look-ups."""

    def __init__(self, folder: str, times: int) -> None:
        self._names = [f"{folder}/d", f"{folder}/e"]
        self.left = times

    def __contains__(self, _name: object) -> bool:
        if self.left > 0:
            self.left -= 1
            os.rename(*self._names)
            self._names.reverse()
        return False


class RenamesTheOther:
    """Hides no name, and renames one of two folders as soon as the other folder is read."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._other: dict[object, str] = {b"in-d": "other", b"in-other": "d"}

    @property
    def has_renamed(self) -> bool:
        """Whether a folder was renamed."""
        return not self._other

    def __contains__(self, name: object) -> bool:
        if other := self._other.get(name):
            os.rename(f"{self._folder}/{other}", f"{self._folder}/renamed")
            self._other.clear()
        return False


class WithWatchers(WithFiles):
    """A folder that is watched."""

    async def watch(self, name: str = "", **how: Any) -> str:
        """Watch a folder; returns the watcher."""
        answer = await self.ask("make_watcher", name, **(FLAT | how))
        return str(answer["watcher"])

    async def page(self, watcher: str) -> dict[str, Any]:
        """The watcher's answer: the events since its last answer."""
        answer = await self.helper.ask("tell_events", {"watcher": watcher})
        memory = answer.descriptor or 0
        self.addCleanup(os.close, memory)
        page: dict[str, Any] = json.loads(os.pread(memory, answer.fields["size"], 0))
        return page

    async def events(self, watcher: str) -> list[str]:
        """The events since the last answer, each as one text."""
        events = (await self.page(watcher))["events"]
        return [f"{event['event']} {event['name']}" for event in events]

    def touch(self, name: str, content: str = "x") -> None:
        """Write a file as user code would."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content)


class Watching(WithWatchers):
    """The events that a watcher reports."""

    async def test_each_change_of_an_entry_gives_its_events(self) -> None:
        self.touch("old")
        self.touch("moved")
        watcher = await self.watch()
        self.assertEqual(await self.events(watcher), [])
        self.touch("new")
        self.assertEqual(await self.events(watcher), ["create new", "write new"])
        self.touch("new", "more")
        self.assertEqual(await self.events(watcher), ["write new"])
        os.chmod(self.path("new"), 0o600)
        self.assertEqual(await self.events(watcher), ["chmod new"])
        os.rename(self.path("moved"), self.path("there"))
        self.assertEqual(await self.events(watcher), ["rename moved", "create there"])
        os.remove(self.path("old"))
        self.assertEqual(await self.events(watcher), ["remove old"])
        self.assertEqual(await self.events(watcher), [])

    async def test_a_file_that_the_api_writes_gives_events_but_its_part_gives_none(self) -> None:
        watcher = await self.watch()
        await self.write("file", b"one")
        self.assertEqual(await self.events(watcher), ["create file", "write file"])
        await self.write("file", b"two")
        self.assertEqual(await self.events(watcher), ["write file"])
        answer = await self.helper.ask("write", {"path": self.path("file")})
        self.addCleanup(os.close, answer.descriptor or 0)
        self.assertEqual(await self.events(watcher), [])

    async def test_only_a_recursive_watcher_looks_below(self) -> None:
        self.make_folder("d")
        flat, deep = await self.watch(), await self.watch(recursive=True)
        self.touch("d/.hidden")
        os.makedirs(self.path("d/new/er"))
        self.assertEqual(await self.events(flat), [])
        self.assertEqual(
            await self.events(deep),
            ["create d/.hidden", "write d/.hidden", "create d/new", "create d/new/er"],
        )

    async def test_a_link_gives_events_but_its_target_gives_none(self) -> None:
        self.make_folder("watched")
        self.make_folder("other")
        watcher = await self.watch("watched", recursive=True)
        os.symlink("../other", self.path("watched/link"))
        self.assertEqual(await self.events(watcher), ["create link"])
        self.touch("other/file")
        self.assertEqual(await self.events(watcher), [])

    async def test_a_link_may_lead_to_the_watched_folder(self) -> None:
        self.make_folder("real")
        os.symlink("real", self.path("link"))
        watcher = await self.watch("link")
        self.touch("real/file")
        self.assertEqual(await self.events(watcher), ["create file", "write file"])

    async def test_a_watched_folder_that_is_removed_and_made_again_gives_events(self) -> None:
        self.make_folder("d")
        self.touch("d/a")
        watcher = await self.watch("d")
        os.remove(self.path("d/a"))
        os.rmdir(self.path("d"))
        self.assertEqual(await self.events(watcher), ["remove a", "remove ."])
        self.assertEqual(await self.events(watcher), [])
        self.make_folder("d")
        self.assertEqual(await self.events(watcher), ["create ."])

    async def test_the_content_of_a_folder_closed_to_the_user_gives_no_events(self) -> None:
        self.make_folder("d")
        watcher = await self.watch(recursive=True)
        # With 0o600, the folder may be listed, but the status of its entries cannot be read.
        for mode in (0, 0o600):
            self.touch("d/a")
            await self.events(watcher)
            os.chmod(self.path("d"), mode)
            self.assertEqual(await self.events(watcher), ["chmod d"])
            os.remove(self.path("d/a"))
            os.chmod(self.path("d"), 0o755)
            self.assertEqual(await self.events(watcher), ["remove d/a", "chmod d"])

    async def test_names_of_any_bytes_are_reported(self) -> None:
        watcher = await self.watch()
        os.close(os.open(os.fsencode(self.folder) + b"/\xff", os.O_CREAT))
        (event,) = (await self.page(watcher))["events"]
        self.assertEqual((event["name"], event["name_base64"]), ("\\xff", "/w=="))

    async def test_events_describe_entries_that_still_exist(self) -> None:
        self.touch("gone")
        watcher = await self.watch(entries=True)
        os.remove(self.path("gone"))
        self.touch("file", "four")
        removed, created, written = (await self.page(watcher))["events"]
        self.assertIsNone(removed["entry"])
        self.assertEqual(created["entry"], written["entry"])
        entry = written["entry"]
        self.assertEqual(
            (entry["path"], entry["name"], entry["size"]), (self.path("file"), "file", 4)
        )


class Limits(WithWatchers):
    """Which folders cannot be watched, and the limits of watchers."""

    async def test_only_a_folder_that_the_user_may_read_is_watched(self) -> None:
        self.touch("file")
        self.make_folder("closed")
        self.touch("closed/file")
        await self.refused("not_a_directory", "make_watcher", "file", **FLAT)
        await self.refused("not_found", "make_watcher", "none", **FLAT)
        for mode in (0, 0o600):
            os.chmod(self.path("closed"), mode)
            await self.refused("permission_denied", "make_watcher", "closed", **FLAT)
        with self.assertRaises(FileRefused) as caught:
            await self.helper.ask("make_watcher", {"path": "/proc", **FLAT})
        self.assertEqual(caught.exception.code, "permission_denied")

    async def test_a_watcher_that_was_ended_or_never_made_is_refused(self) -> None:
        watcher = await self.watch()
        await self.ask("end_watcher", watcher=watcher)
        for unknown in (watcher, "w0"):
            await self.refused("no_watcher", "tell_events", watcher=unknown)
            await self.refused("no_watcher", "end_watcher", watcher=unknown)

    async def test_at_most_max_watchers_exist_at_once(self) -> None:
        watchers = [await self.watch() for _ in range(MAX_WATCHERS)]
        await self.refused("too_many_watchers", "make_watcher", **FLAT)
        await self.ask("end_watcher", watcher=watchers[0])
        await self.watch()

    async def test_a_watcher_that_nobody_asks_is_dropped(self) -> None:
        watchers = [await self.watch(keep_ms=HOUR_MS)]
        watchers += [await self.watch(keep_ms=1) for _ in range(MAX_WATCHERS - 1)]
        await asyncio.sleep(0.01)
        await self.ask("stat")
        for watcher in watchers[1:]:
            await self.refused("no_watcher", "tell_events", watcher=watcher)
        self.assertEqual(await self.events(watchers[0]), [])

    async def test_a_folder_with_too_many_entries_is_refused_until_it_has_fewer(self) -> None:
        self.enterContext(patch(f"{SNAPSHOT}.MAX_WATCHED_ENTRIES", FEW_ENTRIES))
        await self.begin_helper()
        self.make_folder("many")
        for number in range(FEW_ENTRIES):
            os.close(os.open(self.path(f"many/{number}"), os.O_CREAT | os.O_WRONLY))
        watcher = await self.watch("many")
        self.touch("many/one-more")
        await self.refused("too_many_watched", "make_watcher", "many", **FLAT)
        await self.refused("too_many_watched", "tell_events", watcher=watcher)
        os.remove(self.path("many/0"))
        self.assertEqual(
            await self.events(watcher), ["remove 0", "create one-more", "write one-more"]
        )

    async def test_remembered_entries_of_closed_folders_count_towards_the_limit(
        self,
    ) -> None:
        closed: set[bytes] = set()

        def open_unless_closed(path: bytes, flags: int) -> int:
            if path in closed:
                raise PermissionError
            return open_path(path, flags)

        def look(before: Snapshot) -> Snapshot:
            return finish(FolderScan(self.folder.encode(), True, ()).run(before))

        for name in "abc":
            self.make_folder(name)
        with (
            patch(f"{SNAPSHOT}.MAX_WATCHED_ENTRIES", 8),
            patch(f"{SNAPSHOT}.open_path", open_unless_closed),
        ):
            before: Snapshot = {}
            for name in "ab":
                self.touch(f"{name}/1")
                self.touch(f"{name}/2")
                before = look(before)
                closed.add(os.fsencode(self.path(name)))
            self.assertEqual(len(look(before)), 8)
            self.touch("c/1")
            before = look(before)
            self.touch("c/2")
            with self.assertRaises(Refused):
                look(before)

    async def test_the_bytes_of_all_paths_have_a_limit(self) -> None:
        self.touch("x" * 100)
        with patch(f"{SNAPSHOT}.MAX_WATCHED_PATH_BYTES", 150):
            finish(FolderScan(self.folder.encode(), True, ()).run({}))
            self.touch("y" * 100)
            with self.assertRaises(Refused):
                finish(FolderScan(self.folder.encode(), True, ()).run({}))

    async def test_events_of_an_answer_that_failed_come_with_the_next(self) -> None:
        watcher = Watcher(WatchOptions(self.folder.encode(), False, True, 60.0), Parts())
        state = State()
        watcher_id = finish(state.watchers.add(watcher))
        self.touch("a")
        for _ in range(2):
            telling = tell_events(state, {"watcher": watcher_id}, None)
            next(telling)
            self.assertEqual(len(watcher.events), 0)
            telling.close()
            self.assertEqual([kind for kind, _ in watcher.events], ["create", "write"])
        with patch("os.memfd_create", side_effect=OSError), self.assertRaises(OSError):
            finish(tell_events(state, {"watcher": watcher_id}, None))
        self.assertEqual([kind for kind, _ in watcher.events], ["create", "write"])

    async def test_many_events_come_in_several_answers_and_none_is_lost(self) -> None:
        self.make_folder("d")
        watcher = await self.watch("d")
        for number in range(2_500):
            os.close(os.open(self.path(f"d/{number}"), os.O_CREAT | os.O_WRONLY))
        names = []
        sizes = []
        while True:
            page = await self.page(watcher)
            sizes.append(len(page["events"]))
            names += [event["name"] for event in page["events"]]
            if not page["has_more"]:
                break
        self.assertEqual(sizes, [1_000, 1_000, 500])
        self.assertEqual(sorted(names), sorted(map(str, range(2_500))))

    async def test_callers_that_ask_at_once_get_each_event_once(self) -> None:
        self.make_folder("d")
        for number in range(3_000):
            os.close(os.open(self.path(f"d/{number}"), os.O_CREAT | os.O_WRONLY))
        watcher = await self.watch("d")
        for number in range(20):
            self.touch(f"d/new{number:02}")
        answers = await asyncio.gather(*(self.events(watcher) for _ in range(8)))
        seen = sorted(event for answer in answers for event in answer)
        expected = [f"{kind} new{n:02}" for kind in ("create", "write") for n in range(20)]
        self.assertEqual(seen, expected)


class Looks(unittest.TestCase):
    """Looks during which another look runs, or the folder changes."""

    @contextmanager
    def folder(self) -> Iterator[str]:
        """A folder with two entries."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/d")
            os.mkdir(f"{folder}/other")
            yield folder

    def test_a_look_is_dropped_if_a_later_look_has_ended_before_it(self) -> None:
        looks = [{b"a": 1}, {b"b": 2}]

        def look_at_all(_watcher: Watcher) -> Turns[dict[bytes, int]]:
            seen = looks.pop(0)
            yield None
            return seen

        where = "cellhouse_files.watchers"
        with (
            patch.object(Watcher, "_scan", look_at_all),
            patch(f"{where}.differences", lambda before, after: [(before, after)]),
        ):
            watcher = Watcher(TMP, Parts())
            early, late = watcher.look(), watcher.look()
            next(early)
            finish(late)
            self.assertEqual(list(watcher.events), [({}, {b"b": 2})])
            watcher.events.clear()
            finish(early)
            self.assertEqual(list(watcher.events), [])

    def test_an_entry_renamed_while_its_folder_is_read_has_one_name(self) -> None:
        for times, name in [(1, b"e"), (2, b"d")]:
            with self.subTest(times=times), self.folder() as folder:
                renames = Renames(folder, times)
                found = finish(FolderScan(os.fsencode(folder), False, renames).run({}))
                self.assertEqual(renames.left, 0)
                self.assertEqual(sorted(found), [b"", name, b"other"])

    def test_a_folder_that_is_renamed_before_it_is_opened_keeps_its_entries(self) -> None:
        with self.folder() as folder:
            for name in ("d", "other"):
                os.close(os.open(f"{folder}/{name}/in-{name}", os.O_CREAT))
            before = finish(FolderScan(os.fsencode(folder), True, ()).run({}))
            renames = RenamesTheOther(folder)
            found = finish(FolderScan(os.fsencode(folder), True, renames).run(before))
            self.assertTrue(renames.has_renamed)
            self.assertEqual(found, before)

    def test_a_folder_that_changes_all_the_time_can_be_read(self) -> None:
        with self.folder() as folder:
            found = finish(FolderScan(os.fsencode(folder), False, Renames(folder, 1_000)).run({}))
            self.assertLessEqual({b"", b"other"}, set(found))

    def test_a_watcher_beyond_the_limit_is_refused(self) -> None:
        watchers = Watchers()
        for _ in range(MAX_WATCHERS):
            finish(watchers.add(Watcher(TMP, Parts())))
        with self.assertRaises(Refused):
            finish(watchers.add(Watcher(TMP, Parts())))


if __name__ == "__main__":
    unittest.main()
