"""How operations of the helper take turns."""

import os
import select
import unittest

from cellhouse_files.turns import Scheduler, TaskTimedOut, Turns, Wait

LONG_SECONDS = 600.0


class Order(unittest.TestCase):
    """How the scheduler runs tasks."""

    def setUp(self) -> None:
        self.poll = select.poll()
        self.done: list[str] = []

    def counting(self, name: str, turns: int) -> Turns[None]:
        """A task that needs this many turns."""
        for turn in range(turns):
            self.done.append(f"{name}{turn}")
            yield None

    def waiting(self, fd: int) -> Turns[None]:
        """A task that reads from a pipe once."""
        try:
            yield Wait(fd, select.POLLIN)
            self.done.append(f"read {os.read(fd, 10).decode()}")
        finally:
            self.done.append("closed")

    def pipe(self) -> tuple[int, int]:
        """A pipe that is closed after the test."""
        ends = os.pipe()
        for end in ends:
            self.addCleanup(os.close, end)
        return ends

    def test_ready_tasks_go_on_one_after_the_other(self) -> None:
        scheduler = Scheduler(self.poll, LONG_SECONDS)
        tasks = [scheduler.add(self.counting(name, 3)) for name in "ab"]
        self.assertEqual(self.done, ["a0", "b0"])
        self.assertEqual(scheduler.timeout_ms(), 0)
        while len(scheduler):
            scheduler.run_once()
        self.assertEqual(self.done, ["a0", "b0", "a1", "b1", "a2", "b2"])
        self.assertTrue(all(task.is_over for task in tasks))
        self.assertIsNone(scheduler.timeout_ms())

    def test_a_task_that_waits_goes_on_when_its_descriptor_is_ready_and_blocks_nobody(self) -> None:
        scheduler = Scheduler(self.poll, LONG_SECONDS)
        reading, writing = self.pipe()
        task = scheduler.add(self.waiting(reading))
        scheduler.add(self.counting("a", 2))
        scheduler.run_once()
        self.assertEqual(self.done, ["a0", "a1"])
        self.assertEqual(self.poll.poll(0), [])
        os.write(writing, b"x")
        self.assertEqual(self.poll.poll(0), [(reading, select.POLLIN)])
        scheduler.wake(reading)
        # A second wake-up for the same descriptor finds no waiting task.
        scheduler.wake(reading)
        scheduler.run_once()
        self.assertEqual(self.done, ["a0", "a1", "read x", "closed"])
        self.assertTrue(task.is_over)
        self.assertEqual(self.poll.poll(0), [])

    def test_a_task_that_waits_for_too_long_gets_an_exception(self) -> None:
        scheduler = Scheduler(self.poll, silence_seconds=0.01)
        reading, _ = self.pipe()

        def patient() -> Turns[None]:
            try:
                yield Wait(reading, select.POLLIN)
            except TaskTimedOut:
                self.done.append("timed out")

        task = scheduler.add(patient())
        timeout = scheduler.timeout_ms()
        self.assertTrue(timeout is not None and 0 < timeout <= 11)
        self.poll.poll(timeout)
        scheduler.run_once()
        self.assertEqual((self.done, task.is_over, len(scheduler)), (["timed out"], True, 0))

    def test_a_waiting_or_ready_task_can_be_ended(self) -> None:
        scheduler = Scheduler(self.poll, LONG_SECONDS)
        reading, writing = self.pipe()
        os.write(writing, b"x")
        waiting = scheduler.add(self.waiting(reading))
        ready = scheduler.add(self.counting("a", 9))
        scheduler.end(waiting)
        scheduler.end(ready)
        scheduler.run_once()
        self.assertEqual((self.done, len(scheduler)), (["a0", "closed"], 0))
        self.assertEqual(self.poll.poll(0), [])


if __name__ == "__main__":
    unittest.main()
