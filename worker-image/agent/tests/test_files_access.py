"""How many file operations the agent admits at once, and from which session."""

import unittest

from cellhouse_agent.files.helper import MAX_PARALLEL, FileRefused, FilesAccess, OtherWorker


class Access(unittest.TestCase):
    """FilesAccess."""

    def test_at_most_max_parallel_operations_run_at_once(self) -> None:
        access = FilesAccess("boot")
        turns = [access.turn() for _ in range(MAX_PARALLEL)]
        for turn in turns:
            turn.__enter__()
        with self.assertRaises(FileRefused) as caught, access.turn():
            self.fail("one more was let in")
        self.assertEqual(caught.exception.code, "busy")
        turns.pop().__exit__(None, None, None)
        with access.turn():
            pass

    def test_a_turn_that_fails_makes_room_for_another(self) -> None:
        access = FilesAccess("boot")
        for _ in range(MAX_PARALLEL + 1):
            with self.assertRaises(ValueError), access.turn():
                raise ValueError

    def test_only_the_first_session_of_a_worker_has_access(self) -> None:
        access = FilesAccess("boot")
        for session_id, boot_id, reason in (
            ("one", "other", "other_boot"),
            ("one", "boot", None),
            ("two", "boot", "other_session"),
            ("one", "boot", None),
        ):
            if reason is None:
                access.check(session_id, boot_id)
                continue
            with self.assertRaises(OtherWorker) as caught:
                access.check(session_id, boot_id)
            self.assertEqual(caught.exception.reason, reason)


if __name__ == "__main__":
    unittest.main()
