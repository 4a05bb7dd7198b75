"""The verdicts on a kernel that has ended."""

from __future__ import annotations

import unittest

from cellhouse_agent.executions.supervision import died, without_reply


class DiedTest(unittest.TestCase):
    """died, by the exit code, a kill for lack of memory (test_oom_ledger.py), and the time limit."""

    def test_the_verdict_says_why_a_kernel_died(self) -> None:
        cases: list[tuple[tuple[int | None, bool, bool], tuple[str, str, str, int | None]]] = [
            ((3, False, False), ("kernel_died", "KernelDied", "died", 3)),
            ((-11, False, False), ("kernel_died", "KernelDied", "died", -11)),
            ((-9, False, False), ("kernel_died", "KernelDied", "died", -9)),
            ((-9, True, False), ("out_of_memory", "OutOfMemory", "oom", -9)),
            ((3, False, True), ("timeout", "KernelDied", "died", 3)),
            ((-9, True, True), ("timeout", "OutOfMemory", "oom", -9)),
            ((None, False, False), ("kernel_died", "KernelDied", "died", None)),
            ((None, True, False), ("out_of_memory", "OutOfMemory", "oom", None)),
        ]
        for given, expected in cases:
            with self.subTest(given):
                verdict = died(*given)
                said = (verdict.outcome, verdict.reply["ename"], verdict.restart_reason)
                self.assertEqual((*said, verdict.exit_code), expected)

    def test_the_message_has_the_exit_code_or_signal_if_it_is_known(self) -> None:
        said = {code: died(code, False, False).reply["evalue"] for code in (3, -9, None)}
        self.assertEqual(
            said,
            {
                3: "The kernel ended with code 3",
                -9: "The kernel ended by signal 9",
                None: "The kernel ended",
            },
        )

    def test_a_missing_reply_keeps_the_kernel(self) -> None:
        self.assertIsNone(without_reply("interrupted").restart_reason)
        self.assertEqual(without_reply("interrupted").reply["ename"], "KeyboardInterrupt")
        self.assertEqual(without_reply("finished").reply["ename"], "KernelError")


if __name__ == "__main__":
    unittest.main()
