"""Recent ids are remembered."""

from __future__ import annotations

import unittest

from cellhouse_agent.executions.known_requests import RecentIds


class RecentIdsTest(unittest.TestCase):
    """Ids within the limit."""

    def test_knows_the_last_ones_only(self) -> None:
        ids = RecentIds(2)
        self.assertTrue(ids.add("a"))
        self.assertFalse(ids.add("a"))
        self.assertTrue(ids.add("b"))
        self.assertTrue(ids.add("c"))
        self.assertNotIn("a", ids)
        self.assertIn("b", ids)
        self.assertIn("c", ids)
