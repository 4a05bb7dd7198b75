"""How much of the time that passes counts, depending on what the looks at a kernel show."""

from __future__ import annotations

import unittest
from collections.abc import Callable

from cellhouse_agent.processes.grace import MAX_STRETCH, Grace, Sight

GRACE_SECONDS = 1.0
# A look takes some time itself, and timers are never exact.
LATE_SECONDS = 0.005


class Kernel:
    """A kernel on a simulated machine: the shares say how much of each second it and its whole tree run."""

    def __init__(self, wants_cpu: bool, kernel_share: float, tree_share: float) -> None:
        self.now = 0.0
        self._wants_cpu = wants_cpu
        self._kernel_share = kernel_share
        self._tree_share = tree_share

    def see(self) -> Sight:
        """A look. Linux counts a kernel's time in steps of 10 ms."""
        kernel_seconds = int(self.now * self._kernel_share * 100) / 100
        return Sight(self._wants_cpu, kernel_seconds, self.now * self._tree_share)

    def seconds_given(
        self, seconds: float = GRACE_SECONDS, late: Callable[[], float] = lambda: LATE_SECONDS
    ) -> float:
        """How long its grace takes if the agent comes `late` to each look."""
        begun_at = self.now
        grace = Grace(seconds, self.see, lambda: self.now)
        look_at = grace.look()
        while not grace.is_over():
            self.now = look_at + late()
            look_at = grace.look()
        return self.now - begun_at


class GraceTest(unittest.TestCase):
    """A grace of one second, which may last up to ten."""

    def assert_takes(self, kernel: Kernel, seconds: float, late: float = LATE_SECONDS) -> None:
        """Check that its grace takes `seconds`, give or take a look or two."""
        self.assertAlmostEqual(kernel.seconds_given(late=lambda: late), seconds, delta=0.25)

    def test_ends_a_kernel_that_computes(self) -> None:
        self.assert_takes(Kernel(True, 1.0, 1.0), GRACE_SECONDS)

    def test_ends_a_kernel_that_sleeps_and_waits_for_no_cpu(self) -> None:
        self.assert_takes(Kernel(False, 0.0, 0.0), GRACE_SECONDS)

    def test_ends_a_kernel_that_sleeps_however_busy_its_neighbours_are(self) -> None:
        self.assert_takes(Kernel(False, 0.0, 0.0), 2.0, late=0.12)

    def test_counts_for_a_kernel_among_busy_neighbours_what_it_ran(self) -> None:
        self.assert_takes(Kernel(True, 0.25, 0.25), 4 * GRACE_SECONDS)

    def test_does_not_count_for_a_kernel_what_others_ran_on_its_other_cpu(self) -> None:
        self.assert_takes(Kernel(True, 1.0, 0.5), GRACE_SECONDS)

    def test_counts_against_a_kernel_what_its_own_children_ran(self) -> None:
        self.assert_takes(Kernel(True, 0.01, 1.0), GRACE_SECONDS)

    def test_ends_at_the_latest_when_it_has_taken_ten_times_as_long(self) -> None:
        self.assert_takes(Kernel(True, 0.0, 0.0), MAX_STRETCH * GRACE_SECONDS)

    def test_takes_longer_when_the_agent_gets_no_cpu_either_though_the_kernel_seems_to_run(
        self,
    ) -> None:
        self.assert_takes(Kernel(True, 1.0, 1.0), 6.3, late=0.2)

    def test_does_not_end_while_everything_is_stopped(self) -> None:
        pauses = iter([60.0])
        kernel = Kernel(False, 0.0, 0.0)
        given = kernel.seconds_given(late=lambda: next(pauses, LATE_SECONDS))
        self.assertGreater(given, 60.0 + 0.8 * GRACE_SECONDS)

    def test_is_exact_to_half_of_a_short_one(self) -> None:
        self.assertLess(Kernel(True, 1.0, 1.0).seconds_given(0.02), 0.06)

    def test_of_none_is_over_at_once(self) -> None:
        self.assertEqual(Kernel(True, 1.0, 1.0).seconds_given(0.0), 0.0)

    def test_tells_when_half_of_it_is_over(self) -> None:
        kernel = Kernel(False, 0.0, 0.0)
        grace = Grace(GRACE_SECONDS, kernel.see, lambda: kernel.now)
        while not grace.is_over(0.5):
            kernel.now = grace.look()
        self.assertAlmostEqual(kernel.now, GRACE_SECONDS / 2, delta=0.11)
        self.assertFalse(grace.is_over())


if __name__ == "__main__":
    unittest.main()
