"""Interrupts that come before or after the code that they are meant for: run as root in the worker image."""

import unittest

from tests.with_executor import WithExecutor

# C code that no cell has defined holds the kernel for longer than the limit: the interrupt comes in the meantime.
LIMIT_MS = 100
SWALLOWED_GRACE_MS = 10_000
HELD = "functools.partial(time.sleep, 0.4)"
SETUP = f"""
import asyncio, functools, itertools, time
shell, held = get_ipython(), {HELD}
def hold_before(owner, name, calls_before=0):
    wrapped, calls = getattr(owner, name), itertools.count(-calls_before)
    def call(*args, **kwargs):
        if next(calls) == 0: held()
        return wrapped(*args, **kwargs)
    setattr(owner, name, call)
def once(event):
    def last(*args):
        shell.events.unregister(event, held)
        shell.events.unregister(event, last)
    shell.events.register(event, held)
    shell.events.register(event, last)
kept = 0
"""
LOOP = "print('began')\nkept = 1\nwhile True: pass"
# What takes that long between a request and its first line: a callback, the kernel's own steps, or those of IPython.
EARLY = {
    "a callback before the code": "once('pre_execute')",
    "the kernel": "hold_before(shell.kernel, 'do_execute')",
    "IPython's history": "hold_before(shell.history_manager, 'store_inputs')",
    "IPython's compiler": "hold_before(shell.compile, 'ast_parse')",
}


class InterruptsTest(WithExecutor):
    """A kernel that a cell holds up before or after the next one's code."""

    async def held_up(self, how: str, code: str) -> tuple[str, str, str | None]:
        """Run code that is held up once; returns its outcome, what it printed, and the error of its reply."""
        name = f"{how} {code}"
        self.assertEqual(await self.run_code(f"before {name}", SETUP + how), ("finished", ""))
        outcome, text = await self.run_code(name, code, timeout_ms=LIMIT_MS)
        return outcome, text, (await self.reply(name))["content"].get("ename")

    async def assert_goes_on(self, kept: int) -> None:
        """Check that the kernel is the same and works, and that the next cell is not interrupted."""
        msg_id = f"after {self.buffer.last_seq}"
        code = "time.sleep(0.2); print(kept)"
        self.assertEqual(await self.run_code(msg_id, code), ("finished", f"{kept}\n"))
        self.assertEqual(self.executor.generation, 1)

    async def test_one_that_comes_early_hits_the_code_as_soon_as_it_begins(self) -> None:
        for name, how in EARLY.items():
            for first in ("", "await asyncio.sleep(0)\n"):
                with self.subTest(held_by=name, awaits=bool(first)):
                    outcome, text, error = await self.held_up(how, first + LOOP)
                    self.assertEqual((outcome, error), ("timeout", "KeyboardInterrupt"))
                    self.assertNotIn("began", text)
                    await self.assert_goes_on(kept=0)

    async def test_one_that_comes_early_ends_a_callback_that_does_not_end(self) -> None:
        callback = "def endless():\n  while True: pass\n"
        outcome, text, error = await self.held_up(
            f"{callback}shell.events.register('pre_execute', endless)", LOOP
        )
        self.assertEqual((outcome, error), ("timeout", "KeyboardInterrupt"))
        self.assertNotIn("began", text)
        self.assertEqual(self.executor.generation, 1)

    async def test_one_that_comes_late_hits_neither_the_reply_nor_the_next_cell(self) -> None:
        # The first call belongs to the cell that sets this up.
        how = "hold_before(shell.kernel, 'finish_output', calls_before=1)"
        self.assertEqual(await self.held_up(how, "kept = 1"), ("timeout", "", None))
        await self.assert_goes_on(kept=1)

    async def test_one_that_comes_while_an_error_is_shown_leaves_it_whole(self) -> None:
        how = "hold_before(shell.InteractiveTB, 'structured_traceback')"
        outcome, _, error = await self.held_up(how, "kept = 1; 1 / 0")
        self.assertEqual((outcome, error), ("timeout", "ZeroDivisionError"))
        await self.assert_goes_on(kept=1)

    async def test_one_that_is_swallowed_is_sent_again_within_the_grace(self) -> None:
        code = (
            "try:\n"
            "  while True: pass\n"
            "except KeyboardInterrupt:\n"
            "  print('swallowed')\n"
            "while True: pass"
        )
        # The limit is long enough for the code to begin on a busy machine, half of the grace for it to catch the error.
        outcome, text = await self.run_code("1", code, 1_000, SWALLOWED_GRACE_MS)
        self.assertEqual((outcome, text), ("timeout", "swallowed\n"))
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertFalse(report["state_lost"])
        # Not before half of the grace: the code may be cleaning up.
        ran_ms = report["finished_at"] - report["started_at"]
        self.assertGreaterEqual(ran_ms, SWALLOWED_GRACE_MS / 2)


if __name__ == "__main__":
    unittest.main()
