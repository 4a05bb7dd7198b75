"""input() and getpass() in cells, with real kernels: run as root in the worker image."""

import asyncio
import json
from dataclasses import replace
from unittest import mock

from cellhouse_agent.executions import record
from cellhouse_agent.executions.inputs import MAX_UNREAD_BYTES, Taken
from cellhouse_agent.executions.record import MAX_LATE_PROMPT_CHARACTERS
from cellhouse_agent.gateway.requests import Context

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_executor import PATIENCE_SECONDS, SHORT_GRACE_MS, WithExecutor, request
from tests.with_input import Sender

QUESTION = "cellhouse_input_request"
NOBODY = "StdinNotImplementedError"
IN_THREAD = """
import threading
def ask():
    try: input("never")
    except Exception as error: print(type(error).__name__, flush=True)
thread = threading.Thread(target=ask); thread.start(); thread.join()
"""
IN_CHILD = """
import os
child = os.fork()
if child == 0:
    try: input("never")
    except Exception as error: print(type(error).__name__, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(input())
"""
ASYNC = """
import asyncio
await asyncio.sleep(0)
print(input("async? "))
"""
CAUGHT = """
try: print("first", input("a"))
except KeyboardInterrupt: print("caught", flush=True)
print("second", input("b"))
print("third", input("c"))
"""
# Interrupts itself at any instruction of asking and waiting, while lines come.
STORM = """
import signal, time
lines, hits, asks = [], 0, False
def hit(*_):
    global asks, hits
    if asks:
        asks, hits = False, hits + 1
        raise KeyboardInterrupt
signal.signal(signal.SIGALRM, hit)
while True:
    signal.setitimer(signal.ITIMER_REAL, 0.0005 + (hits % 40) * 0.0001)
    try:
        asks = True
        line = input()
        asks = False
        lines.append(line)
    except KeyboardInterrupt:
        continue
    except EOFError:
        asks = False
        break
signal.setitimer(signal.ITIMER_REAL, 0)
print(hits > 20, len(lines), [int(line) for line in lines] == sorted(set(map(int, lines))))
"""
# Forges 999 questions in the kernel's name, and reads no answer.
FORGED = """
import json
from cellhouse_kernel.outbox import pack_message
kernel = get_ipython().kernel
outbox, msg_id = kernel.shell_channel.outbox, kernel.get_parent("shell")["msg_id"]
for number in range(1, 1_000):
    question = json.dumps({"prompt": "p", "password": False, "number": number}).encode()
    outbox.add_message(pack_message(b"iopub", "input_request", msg_id, question))
print("sent", flush=True)
"""


class CellInput(WithExecutor):
    """A worker whose sessions can have contexts."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.sender = Sender(self.executor)

    async def asyncTearDown(self) -> None:
        for name in ("one", "two"):
            await self.executor.contexts.delete(name)
        await super().asyncTearDown()

    def begin(self, msg_id: str, code: str, context: str | None = None, **limits: int) -> None:
        """Begin a cell that may ask."""
        where = Context(context, None) if context else None
        asked = replace(request(msg_id, code, **limits), allows_asking=True, context=where)
        self.executor.submit(asked)

    def questions(self, msg_id: str) -> list[tuple[str, bool]]:
        """The prompts of a cell so far, and whether each asks for a password."""
        frames = [f for f in self.frames(msg_id) if f["header"]["msg_type"] == QUESTION]
        return [(f["content"]["prompt"], f["content"]["password"]) for f in frames]

    async def asked(self, msg_id: str, count: int) -> None:
        """Wait until a cell has asked this many questions."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.questions(msg_id)) < count:
                await self.buffer.wait_for(self.buffer.last_seq + 1)

    async def ended(self, msg_id: str) -> tuple[str, str | None, str]:
        """The outcome of a cell, the name of its error, and what it printed, once it has ended."""
        reply = await self.reply(msg_id)
        text = "".join(frame["content"].get("text", "") for frame in self.frames(msg_id))
        outcome = reply["metadata"]["cellhouse"]["outcome"]
        return outcome, reply["content"].get("ename"), text

    async def test_a_question_gets_its_answer(self) -> None:
        self.begin("1", "print('before'); name = input('Name? '); print('Hello', name)")
        await self.asked("1", 1)
        types = [frame["header"]["msg_type"] for frame in self.frames("1")]
        self.assertEqual(types, ["status", "stream", QUESTION])
        await self.sender.send("1", "漢 é\n".encode())
        self.assertEqual(await self.ended("1"), ("finished", None, "before\nHello 漢 é\n"))
        self.assertEqual(self.questions("1"), [("Name? ", False)])
        self.assertEqual(await self.run_code("2", "print(name)"), ("finished", "漢 é\n"))

    async def test_getpass_asks_for_a_password_that_no_frame_shows(self) -> None:
        code = "import getpass; print(len(getpass.getpass()), len(getpass.getpass('Key: ')))"
        self.begin("1", code)
        await self.asked("1", 1)
        await self.sender.send("1", b"secret\nlonger secret\n")
        self.assertEqual(await self.ended("1"), ("finished", None, "6 13\n"))
        self.assertEqual(self.questions("1"), [("Password: ", True), ("Key: ", True)])
        self.assertNotIn("secret", json.dumps(self.all_frames()))

    async def test_questions_are_sent_although_the_output_is_full(self) -> None:
        code = "from getpass import getpass; print('x' * 200); input('a' * 200); getpass('b'); input('c')"
        self.begin("1", code, max_output_bytes=100)
        for count in (1, 2, 3):
            await self.asked("1", count)
            await self.sender.send("1", b"line\n")
        self.assertEqual(await self.ended("1"), ("finished", None, "x" * 100))
        expected = [("a" * MAX_LATE_PROMPT_CHARACTERS, False), ("b", True), ("c", False)]
        self.assertEqual(self.questions("1"), expected)

    async def test_the_last_question_beyond_the_output_limit_asks_for_a_password(self) -> None:
        with mock.patch.object(record, "MAX_LATE_QUESTIONS", 20):
            code = "for _ in range(30): input()\nprint('end')"
            self.begin("1", code, max_output_bytes=0)
            await self.sender.send("1", b"line\n" * 30)
            self.assertEqual((await self.ended("1"))[0], "finished")
        self.assertEqual(self.questions("1"), [("", False)] * 19 + [("", True)])

    async def test_lines_that_came_before_the_questions_answer_them_in_order(self) -> None:
        self.begin("1", "import time; time.sleep(0.5); print([input() for _ in range(4)])")
        await self.sender.send("1", b"one\n\nthree")
        await self.sender.send("1", b"!\nfour\nfive\n")
        text = "['one', '', 'three!', 'four']\n"
        self.assertEqual(await self.ended("1"), ("finished", None, text))
        # The line that the first cell did not read is dropped.
        self.begin("2", "print(input())")
        await self.asked("2", 1)
        await self.sender.send("2", b"other\n")
        self.assertEqual(await self.ended("2"), ("finished", None, "other\n"))

    async def test_a_queued_cell_takes_input(self) -> None:
        self.begin("1", "print(input())")
        self.begin("2", "print(input())")
        await self.sender.send("2", b"two\n")
        await self.sender.send("1", b"one\n")
        self.assertEqual((await self.ended("1"))[2], "one\n")
        self.assertEqual((await self.ended("2"))[2], "two\n")

    async def test_the_end_of_input_raises_eof_error(self) -> None:
        self.begin(
            "1", "print(repr(input()))\ntry: input()\nexcept EOFError: print('end')\ninput()"
        )
        await self.sender.send("1", b"no newline", is_last=True)
        outcome = await self.ended("1")
        self.assertEqual(outcome[:2], ("finished", "EOFError"))
        self.assertTrue(outcome[2].startswith("'no newline'\nend\n"))

    async def test_a_line_longer_than_the_buffer_is_read_whole(self) -> None:
        self.begin("1", "line = input(); print(len(line), set(line), input())")
        size = 3 * MAX_UNREAD_BYTES
        await self.sender.send("1", b"x" * size + b"\nnext\n")
        self.assertEqual(await self.ended("1"), ("finished", None, f"{size} {{'x'}} next\n"))

    async def test_bytes_that_are_no_text_are_kept(self) -> None:
        self.begin("1", "print(input().encode('utf-8', 'surrogateescape'))")
        await self.sender.send("1", b"\xff\x00\xe6\xbc\n")
        text = "b'\\xff\\x00\\xe6\\xbc'\n"
        self.assertEqual(await self.ended("1"), ("finished", None, text))

    async def test_two_contexts_that_ask_at_once_get_their_own_input(self) -> None:
        for name in ("one", "two"):
            self.begin(name, "print([input(n) for n in 'abc'])", context=name)
        for name in ("one", "two"):
            await self.asked(name, 1)
        for number in range(3):
            await self.sender.send("two", f"two {number}\n".encode())
            await self.sender.send("one", f"one {number}\n".encode())
        for name in ("one", "two"):
            text = f"['{name} 0', '{name} 1', '{name} 2']\n"
            self.assertEqual(await self.ended(name), ("finished", None, text))

    async def test_code_cannot_ask_unless_its_request_allows_it(self) -> None:
        for number, code in enumerate(("input()", "import getpass; getpass.getpass()")):
            msg_id = str(number)
            self.executor.submit(request(msg_id, code))
            self.assertEqual(await self.sender.send(msg_id, b"x\n"), Taken(False, 0, False))
            self.assertEqual((await self.ended(msg_id))[:2], ("finished", NOBODY))
            self.assertEqual(self.questions(msg_id), [])

    async def test_threads_and_children_cannot_ask(self) -> None:
        self.begin("1", IN_THREAD)
        self.assertEqual(await self.ended("1"), ("finished", None, f"{NOBODY}\n"))
        self.begin("2", IN_CHILD)
        await self.sender.send("2", b"parent\n")
        self.assertEqual((await self.ended("2"))[:2], ("finished", None))
        # Only stdout is compared: on stderr, Python warns of the fork.
        contents = [frame["content"] for frame in self.frames("2")]
        printed = [content["text"] for content in contents if content.get("name") == "stdout"]
        self.assertEqual("".join(printed), f"{NOBODY}\nparent\n")
        self.assertEqual(self.questions("1") + self.questions("2"), [("", False)])

    async def test_code_that_awaits_can_ask(self) -> None:
        self.begin("1", ASYNC)
        await self.asked("1", 1)
        await self.sender.send("1", b"yes\n")
        self.assertEqual(await self.ended("1"), ("finished", None, "yes\n"))

    async def test_a_debugger_can_ask(self) -> None:
        self.begin("1", "import pdb\nx = 42\npdb.set_trace()\nprint('on')")
        await self.asked("1", 1)
        await self.sender.send("1", b"p x\nc\n")
        outcome, error, text = await self.ended("1")
        self.assertEqual((outcome, error), ("finished", None))
        self.assertIn("42", text)
        self.assertTrue(text.endswith("on\n"))

    async def test_an_interrupt_ends_the_waiting_for_input(self) -> None:
        for number, code in enumerate(("x = 1; input('?')", f"x = 1\n{ASYNC}")):
            msg_id = str(number)
            self.begin(msg_id, code)
            await self.asked(msg_id, 1)
            self.executor.interrupt(msg_id, msg_id)
            outcome, error, _ = await self.ended(msg_id)
            self.assertEqual(outcome, "interrupted")
            self.assertIn(error, ("KeyboardInterrupt", "CancelledError"))
        self.assertEqual(await self.run_code("next", "print(x)"), ("finished", "1\n"))
        self.assertEqual(self.executor.generation, 1)

    async def test_a_question_after_an_interrupt_gets_the_next_line(self) -> None:
        self.begin("1", CAUGHT)
        await self.asked("1", 1)
        self.executor.interrupt("1", "r")
        await self.printed("1", "caught")
        await self.asked("1", 2)
        await self.sender.send("1", b"one\ntwo\n")
        outcome = ("interrupted", None, "caught\nsecond one\nthird two\n")
        self.assertEqual(await self.ended("1"), outcome)

    async def test_lines_stay_in_order_with_interrupts_at_any_instruction(self) -> None:
        self.begin("1", STORM)
        for number in range(400):
            await self.sender.send("1", f"{number}\n".encode())
            # Some pauses are longer than the longest time between two interrupts, so any machine has enough interrupts.
            await asyncio.sleep(number % 12 * 0.0005)
        await self.sender.send("1", is_last=True)
        outcome, error, text = await self.ended("1")
        self.assertEqual((outcome, error), ("finished", None))
        is_enough, count, is_sorted = text.split()
        self.assertEqual((is_enough, is_sorted), ("True", "True"))
        # A line is lost only if an interrupt comes between the return of input() and the append.
        self.assertGreater(int(count), 350)
        self.assertEqual(await self.run_code("2", "print(hits > 0)"), ("finished", "True\n"))

    async def test_waiting_for_input_counts_towards_the_time_limit(self) -> None:
        self.begin("1", "x = 1; input()", timeout_ms=LIMIT_MS)
        await self.asked("1", 1)
        pass_limit()
        outcome, error, _ = await self.ended("1")
        self.assertEqual((outcome, error), ("timeout", "KeyboardInterrupt"))
        self.assertEqual(await self.run_code("2", "print(x)"), ("finished", "1\n"))
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); input()"
        self.begin("3", deaf, timeout_ms=LIMIT_MS, grace_ms=SHORT_GRACE_MS)
        await self.asked("3", 1)
        pass_limit()
        self.assertEqual((await self.ended("3"))[:2], ("timeout", "KernelReplaced"))

    async def test_a_restart_ends_the_waiting_for_input(self) -> None:
        self.begin("1", "input()")
        await self.asked("1", 1)
        self.assertEqual(await self.executor.restart(), 2)
        self.assertEqual((await self.ended("1"))[:2], ("interrupted", "KernelReplaced"))
        self.assertEqual(await self.sender.send("1", b"late\n"), Taken(False, 0, False))
        self.begin("2", "print(input())")
        await self.sender.send("2", b"fresh\n")
        self.assertEqual((await self.ended("2"))[2], "fresh\n")

    async def test_variables_set_while_code_waits_for_input_hold_afterwards(self) -> None:
        self.begin("1", "print(input())")
        await self.asked("1", 1)
        self.executor.set_variables({"A": "x" * 100_000})
        await self.sender.send("1", b"one\n")
        self.assertEqual((await self.ended("1"))[2], "one\n")
        text = (await self.run_code("2", "import os; print(len(os.environ['A']))"))[1]
        self.assertEqual(text, "100000\n")

    async def test_code_that_asks_without_reading_takes_no_input_of_the_next_cell(self) -> None:
        self.begin("1", FORGED)
        await self.sender.send("1", b"x\n" * 20_000, is_last=True)
        self.assertEqual((await self.ended("1"))[:2], ("finished", None))
        self.begin("2", "print(input(), input())")
        await self.sender.send("2", b"a\nb\n")
        self.assertEqual(await self.ended("2"), ("finished", None, "a b\n"))

    async def test_many_lines_are_read_in_time(self) -> None:
        # On a busy machine, each line waits long for the CPU.
        self.begin("1", "print(sum(int(input()) for _ in range(500)))", timeout_ms=60_000)
        await self.sender.send("1", b"".join(b"%d\n" % number for number in range(500)))
        self.assertEqual(await self.ended("1"), ("finished", None, f"{sum(range(500))}\n"))
