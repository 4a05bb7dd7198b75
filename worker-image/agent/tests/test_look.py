"""Merging the changes that several looks at the home have found."""

from __future__ import annotations

import random
import unittest

from cellhouse_agent.home import HomeChanges, merged
from cellhouse_agent.json_values import JsonObject
from cellhouse_files.home_changes import MAX_CHANGES, MAX_CHANGES_BYTES
from tests.seeded import SEED

Home = dict[str, int]


def change(path: str, kind: str, size: int | None = 1) -> JsonObject:
    """A change as the helper reports it."""
    return {"path": path, "change": kind, "size": size, "modified_at": size}


def differences(before: Home, after: Home) -> list[JsonObject]:
    """The changes that one look finds."""
    found = []
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            kind = "created" if path not in before else "modified"
            kind = kind if path in after else "deleted"
            found.append(change(path, kind, after.get(path)))
    return found


class LookTest(unittest.TestCase):
    """merged and HomeChanges, without a home."""

    def test_two_looks_merge_into_the_changes_that_one_look_would_find(self) -> None:
        dice = random.Random(SEED)
        for version in range(1, 2_000, 2):
            homes: list[Home] = [{name: 0 for name in "abcdef" if dice.random() < 0.5}]
            for step in (version, version + 1):
                changed = {name: step for name in "abcdef" if dice.random() < 0.5}
                kept = {name: old for name, old in homes[-1].items() if dice.random() < 0.7}
                homes.append({**kept, **changed})
            first, second, third = homes
            both = merged(differences(first, second), differences(second, third))
            self.assertEqual(both, differences(first, third), homes)

    def test_a_look_that_finds_nothing_reports_no_changes(self) -> None:
        look = HomeChanges(None, False, 0)
        look.add([], None)
        self.assertEqual(look.report(), {"changes": [], "reason": None, "shared": False})

    def test_one_look_without_a_result_leaves_only_a_reason(self) -> None:
        look = HomeChanges(None, False, 0)
        look.add([change("a", "created")], None)
        look.add(None, "too_slow")
        look.add([change("b", "created")], None)
        look.lose("kernel_replaced")
        self.assertEqual(look.report(), {"changes": None, "reason": "too_slow", "shared": False})

    def test_merged_looks_keep_the_limits(self) -> None:
        look = HomeChanges(None, False, 0)
        look.add([change(f"a{n}", "created") for n in range(900)], None)
        look.add([change("a1", "modified")], None)
        self.assertIsNone(look.report()["reason"])
        look.add([change("b" * MAX_CHANGES_BYTES, "created")], None)
        self.assertEqual(look.report()["reason"], "too_many_changes")
        look = HomeChanges(None, False, 0)
        look.add([change("a", "created")], None)
        look.add([{"path": str(n), "change": "x"} for n in range(MAX_CHANGES)], None)
        self.assertEqual(look.report()["reason"], "too_many_changes")


if __name__ == "__main__":
    unittest.main()
