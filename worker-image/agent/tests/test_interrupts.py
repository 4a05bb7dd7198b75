"""Interrupts that come before or after the code that they are meant for: run as root in the worker image."""

import asyncio
import os
import shutil
import unittest
from unittest import mock

from cellhouse_kernel.privileges import KERNEL_UID

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_executor import PATIENCE_SECONDS, WithExecutor, request

SWALLOWED_GRACE_MS = 5_000
# The kernel makes the folder HELD when it is held up, and goes on when the test has opened the pipe GO for writing.
FOLDER = "/tmp/interrupts"
HELD, GO = f"{FOLDER}/held", f"{FOLDER}/go"
# C code holds up the kernel, so that no code of a cell runs when the interrupt comes.
SETUP = f"""
import asyncio, functools, itertools, operator, os, time
steps = [(os.mkdir, "{HELD}"), (open, "{GO}")]
shell, held = get_ipython(), functools.partial(list, itertools.starmap(operator.call, steps))
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
# Steps between a request and the first line of its code at which the kernel is held up.
EARLY = {
    "a callback before the code": "once('pre_execute')",
    "the kernel": "hold_before(shell.kernel, 'do_execute')",
    "IPython's history": "hold_before(shell.history_manager, 'store_inputs')",
    "IPython's compiler": "hold_before(shell.compile, 'ast_parse')",
}


class InterruptsTest(WithExecutor):
    """One cell causes the kernel to be held up before or after the code of the next cell."""

    async def held_up(self, how: str, code: str) -> tuple[str, str, str | None]:
        """Run code that is held up once; returns its outcome, what it printed, and the error of its reply."""
        name = f"{how} {code}"
        self.assertEqual(await self.run_code(f"before {name}", SETUP + how), ("finished", ""))
        os.mkdir(FOLDER)
        os.mkfifo(GO)
        for path in (FOLDER, GO):
            os.chown(path, KERNEL_UID, KERNEL_UID)
        self.executor.submit(request(name, code, LIMIT_MS))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not os.path.exists(HELD):
                await asyncio.sleep(0.01)
        interrupt = mock.Mock(wraps=self.kernel.interrupt)
        with mock.patch.object(self.kernel, "interrupt", interrupt):
            pass_limit()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not interrupt.called:
                    await asyncio.sleep(0.01)
        # An interrupt may have ended the kernel's waiting already. With O_RDWR, open() does not wait for a reader.
        writing = os.open(GO, os.O_RDWR)
        outcome, text = await self.outcome(name)
        os.close(writing)
        shutil.rmtree(FOLDER)
        return outcome, text, (await self.reply(name))["content"].get("ename")

    async def outcome(self, msg_id: str) -> tuple[str, str]:
        """The outcome of an execution, and what it printed, once it has ended."""
        reply = await self.reply(msg_id)
        text = "".join(frame["content"].get("text", "") for frame in self.frames(msg_id))
        return reply["metadata"]["cellhouse"]["outcome"], text

    async def assert_goes_on(self, kept: int) -> None:
        """Check that the kernel is the same and works, and that the next cell is not interrupted."""
        msg_id = f"after {self.buffer.last_seq}"
        code = "time.sleep(0.2); print(kept)"
        self.assertEqual(await self.run_code(msg_id, code), ("finished", f"{kept}\n"))
        self.assertEqual(self.executor.generation, 1)

    async def test_an_early_interrupt_hits_the_code_as_soon_as_it_begins(self) -> None:
        for name, how in EARLY.items():
            for first in ("", "await asyncio.sleep(0)\n"):
                with self.subTest(held_by=name, awaits=bool(first)):
                    outcome, text, error = await self.held_up(how, first + LOOP)
                    self.assertEqual((outcome, error), ("timeout", "KeyboardInterrupt"))
                    self.assertNotIn("began", text)
                    await self.assert_goes_on(kept=0)

    async def test_an_early_interrupt_ends_an_endless_callback(self) -> None:
        callback = (
            "def endless():\n"
            "  print('endless')\n"
            "  while True: pass\n"
            "get_ipython().events.register('pre_execute', endless)"
        )
        self.assertEqual(await self.run_code("before", callback), ("finished", ""))
        self.executor.submit(request("1", LOOP, LIMIT_MS))
        await self.printed("1", "endless")
        pass_limit()
        outcome, text = await self.outcome("1")
        error = (await self.reply("1"))["content"].get("ename")
        self.assertEqual((outcome, error), ("timeout", "KeyboardInterrupt"))
        self.assertNotIn("began", text)
        self.assertEqual(self.executor.generation, 1)

    async def test_a_late_interrupt_hits_neither_the_reply_nor_the_next_cell(self) -> None:
        # The first call is made by the cell that sets this up.
        how = "hold_before(shell.kernel, 'finish_output', calls_before=1)"
        self.assertEqual(await self.held_up(how, "kept = 1"), ("timeout", "", None))
        await self.assert_goes_on(kept=1)

    async def test_an_interrupt_while_an_error_is_formatted_leaves_the_error_whole(self) -> None:
        how = "hold_before(shell.InteractiveTB, 'structured_traceback')"
        outcome, _, error = await self.held_up(how, "kept = 1; 1 / 0")
        self.assertEqual((outcome, error), ("timeout", "ZeroDivisionError"))
        await self.assert_goes_on(kept=1)

    async def test_an_interrupt_that_is_swallowed_is_sent_again_within_the_grace(self) -> None:
        code = (
            "try:\n"
            "  print('on')\n"
            "  while True: pass\n"
            "except KeyboardInterrupt:\n"
            "  print('swallowed')\n"
            "while True: pass"
        )
        # Half of the grace must be long enough for the code to catch the error on a busy machine.
        self.executor.submit(request("1", code, LIMIT_MS, SWALLOWED_GRACE_MS))
        await self.printed("1", "on")
        pass_limit()
        self.assertEqual(await self.outcome("1"), ("timeout", "on\nswallowed\n"))
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertFalse(report["state_lost"])
        # Not before half of the grace: the code may be cleaning up.
        ran_ms = report["finished_at"] - report["started_at"]
        self.assertGreaterEqual(ran_ms, SWALLOWED_GRACE_MS / 2)


if __name__ == "__main__":
    unittest.main()
