"""A msg_id runs at most once."""

from __future__ import annotations

import unittest

from cellhouse_agent.executions.known_requests import (
    MAX_STORED_IDS,
    MAX_UNSTORED_REQUESTS,
    KnownRequests,
)


class KnownRequestsTest(unittest.TestCase):
    """IDs of requests before and after their end was stored."""

    def setUp(self) -> None:
        self.known = KnownRequests()

    def test_remembers_a_request_also_after_its_end_was_stored(self) -> None:
        self.known.add("m1")
        self.assertIn("m1", self.known)
        self.known.ended("m1", 4)
        self.known.ack(4)
        self.assertIn("m1", self.known)
        self.assertNotIn("m2", self.known)

    def test_is_full_until_the_end_of_some_requests_is_stored(self) -> None:
        for number in range(MAX_UNSTORED_REQUESTS):
            self.known.add(f"m{number}")
            self.known.ended(f"m{number}", number + 1)
        self.assertTrue(self.known.is_full)
        self.known.ack(1)
        self.assertFalse(self.known.is_full)

    def test_forgets_the_oldest_id_whose_end_is_stored(self) -> None:
        for number in range(MAX_STORED_IDS + 1):
            self.known.add(f"m{number}")
            self.known.ended(f"m{number}", number + 1)
            self.known.ack(number + 1)
        self.assertNotIn("m0", self.known)
        self.assertIn("m1", self.known)
        self.assertIn(f"m{MAX_STORED_IDS}", self.known)


if __name__ == "__main__":
    unittest.main()
