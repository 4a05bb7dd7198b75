"""How much of the passing time counts for a kernel's grace, depending on what each look at the kernel shows."""

from __future__ import annotations

import unittest
from collections.abc import Callable

from cellhouse_agent.processes.grace import MAX_STRETCH, Grace, Sight

GRACE_SECONDS = 1.0
# A look takes some time itself, and timers are never exact.
LATE_SECONDS = 0.005


class Kernel:
    """A kernel on a simulated machine. The shares say for how much of each second the kernel and its tree run."""

    def __init__(self, wants_cpu: bool, kernel_share: float, tree_share: float) -> None:
        self.now = 0.0
        self._wants_cpu = wants_cpu
        self._kernel_share = kernel_share
        self._tree_share = tree_share

    def see(self) -> Sight:
        """A look. Linux counts a kernel's CPU time in steps of 10 ms."""
        kernel_seconds = int(self.now * self._kernel_share * 100) / 100
        return Sight(self._wants_cpu, kernel_seconds, self.now * self._tree_share)

    def seconds_given(
        self, seconds: float = GRACE_SECONDS, late: Callable[[], float] = lambda: LATE_SECONDS
    ) -> float:
        """How long the kernel's grace takes if each look comes `late()` seconds after its time."""
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
        """Check that the kernel's grace takes `seconds`, give or take a look or two."""
        self.assertAlmostEqual(kernel.seconds_given(late=lambda: late), seconds, delta=0.25)

    def test_ends_a_kernel_that_computes(self) -> None:
        self.assert_takes(Kernel(True, 1.0, 1.0), GRACE_SECONDS)

    def test_ends_a_kernel_that_sleeps_and_waits_for_no_cpu(self) -> None:
        self.assert_takes(Kernel(False, 0.0, 0.0), GRACE_SECONDS)

    def test_ends_a_kernel_that_sleeps_however_busy_its_neighbours_are(self) -> None:
        self.assert_takes(Kernel(False, 0.0, 0.0), 2.0, late=0.12)

    def test_counts_only_the_time_that_a_kernel_ran_among_busy_neighbours(self) -> None:
        self.assert_takes(Kernel(True, 0.25, 0.25), 4 * GRACE_SECONDS)

    def test_counts_the_time_that_a_kernel_ran_on_one_of_its_two_cpus(self) -> None:
        self.assert_takes(Kernel(True, 1.0, 0.5), GRACE_SECONDS)

    def test_counts_the_cpu_time_of_the_children_of_a_kernel(self) -> None:
        self.assert_takes(Kernel(True, 0.01, 1.0), GRACE_SECONDS)

    def test_ends_at_the_latest_when_it_has_taken_ten_times_as_long(self) -> None:
        self.assert_takes(Kernel(True, 0.0, 0.0), MAX_STRETCH * GRACE_SECONDS)

    def test_takes_longer_when_the_agent_itself_gets_little_cpu(
        self,
    ) -> None:
        self.assert_takes(Kernel(True, 1.0, 1.0), 6.3, late=0.2)

    def test_does_not_count_time_in_which_everything_was_stopped(self) -> None:
        pauses = iter([60.0])
        kernel = Kernel(False, 0.0, 0.0)
        given = kernel.seconds_given(late=lambda: next(pauses, LATE_SECONDS))
        self.assertGreater(given, 60.0 + 0.8 * GRACE_SECONDS)

    def test_a_grace_of_20_ms_takes_less_than_60_ms(self) -> None:
        self.assertLess(Kernel(True, 1.0, 1.0).seconds_given(0.02), 0.06)

    def test_a_grace_of_zero_is_over_at_once(self) -> None:
        self.assertEqual(Kernel(True, 1.0, 1.0).seconds_given(0.0), 0.0)

    def test_says_when_half_of_a_grace_is_over(self) -> None:
        kernel = Kernel(False, 0.0, 0.0)
        grace = Grace(GRACE_SECONDS, kernel.see, lambda: kernel.now)
        while not grace.is_over(0.5):
            kernel.now = grace.look()
        self.assertAlmostEqual(kernel.now, GRACE_SECONDS / 2, delta=0.11)
        self.assertFalse(grace.is_over())


if __name__ == "__main__":
    unittest.main()
