"""Which ends of processes are explained by a kill for lack of memory."""

import unittest

from cellhouse_agent.usage.container import MAX_AGE_SECONDS, OomLedger, Usage, find_usage
from tests.test_usage import FIXTURES


class CountedUsage:
    """Counters of a container, with the number of kills that the test sets."""

    def __init__(self) -> None:
        self.kills = 3
        given: Usage = find_usage(FIXTURES / "cgroup_v1")
        self.cpu_ms, self.memory_bytes = given.cpu_ms, given.memory_bytes
        self.cache_bytes, self.memory_limit_bytes = given.cache_bytes, given.memory_limit_bytes

    def oom_kills(self) -> int:
        """The number that the test has set."""
        return self.kills


class OomLedgerTest(unittest.TestCase):
    """OomLedger.explains."""

    def setUp(self) -> None:
        self.now = 0.0
        self.usage = CountedUsage()
        self.ledger = OomLedger(self.usage, lambda: self.now)

    def test_a_kill_explains_one_end_by_sigkill(self) -> None:
        self.usage.kills += 1
        self.assertEqual([self.ledger.explains(-9) for _ in range(2)], [True, False])

    def test_each_kill_explains_one_end(self) -> None:
        self.usage.kills += 2
        self.assertEqual(
            [self.ledger.explains(code) for code in (-9, None, -9)], [True, True, False]
        )

    def test_a_kill_explains_no_end_with_another_signal_or_an_exit_code(self) -> None:
        self.usage.kills += 1
        for code in (0, 1, 137, -11, -15):
            self.assertFalse(self.ledger.explains(code))
        self.assertTrue(self.ledger.explains(-9))

    def test_sigkill_without_a_new_kill_is_not_explained(self) -> None:
        self.assertFalse(self.ledger.explains(-9))

    def test_a_kill_that_was_seen_too_long_ago_explains_nothing(self) -> None:
        self.usage.kills += 1
        self.ledger.look()
        self.now += MAX_AGE_SECONDS + 0.1
        self.assertFalse(self.ledger.explains(-9))

    def test_a_kill_that_is_seen_late_is_new(self) -> None:
        self.now += 100
        self.usage.kills += 1
        self.assertTrue(self.ledger.explains(-9))

    def test_a_forgotten_kill_explains_nothing_that_comes_later(self) -> None:
        self.usage.kills += 1
        self.now += 100
        self.ledger.forget()
        self.assertFalse(self.ledger.explains(-9))
        self.usage.kills += 1
        self.assertTrue(self.ledger.explains(-9))


if __name__ == "__main__":
    unittest.main()
