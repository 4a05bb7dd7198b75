"""Questions to idle kernels. The kernels are real: run this as root in the worker image."""

import asyncio
import os
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from cellhouse_agent.executions import questions
from cellhouse_agent.executions.kernel_keeper import NoContext
from cellhouse_agent.executions.questions import (
    MAX_ANSWER_BYTES,
    MAX_ANSWER_ITEMS,
    MAX_INSPECTION_BYTES,
    question_of,
)
from cellhouse_agent.gateway.requests import Context
from cellhouse_agent.json_values import JsonObject, MalformedMessage

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_executor import PATIENCE_SECONDS, WithExecutor, request

COMPLETE = "complete_request"
# Each cell makes an object. Completing its attributes makes the file BEGUN; then it takes long, takes long and ignores
# interrupts, or waits for the file GO.
BEGUN, GO = "/home/user/begun", "/home/user/go"
SLOW = f"""
import time
class Slow:
    def __dir__(self):
        print("never shown")
        open("{BEGUN}", "w").close()
        time.sleep(60)
        return []
slow = Slow()
"""
DEAF = f"""
import signal, time
class Deaf:
    def __dir__(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        open("{BEGUN}", "w").close()
        time.sleep(600)
deaf = Deaf()
"""
WAITING = f"""
import os, time
class Waiting:
    def __dir__(self):
        open("{BEGUN}", "w").close()
        while not os.path.exists("{GO}"): time.sleep(0.01)
        return ["b"]
waiting = Waiting()
"""


def asked(msg_type: str, **content: Any) -> JsonObject:
    """The fields of a request."""
    return {"msg_type": msg_type, "content": content}


class QuestionsTest(WithExecutor):
    """Each test has a kernel of its own. The time limit of answers passes only when a test calls pass_limit()."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.enterContext(mock.patch.object(questions, "ANSWER_SECONDS", LIMIT_MS / 1000))

    async def begun(self) -> None:
        """Wait until the kernel is working on an answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not os.path.exists(BEGUN):
                await asyncio.sleep(0.01)
        os.remove(BEGUN)

    async def ask(self, msg_type: str, context: str | None = None, **content: Any) -> Any:
        """Ask a kernel; fails after PATIENCE_SECONDS."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.executor.ask(context, question_of(asked(msg_type, **content)))

    async def complete(self, code: str, context: str | None = None) -> Any:
        """The completion at the end of this code."""
        return await self.ask(COMPLETE, context, code=code, cursor_pos=len(code))

    async def test_completes_names_and_attributes(self) -> None:
        """The positions of the cursor count characters."""
        await self.run_code("1", "needle_one = needle_two = 1; 漢字 = 'text'")
        answer = await self.complete("x = needle_")
        self.assertEqual(answer["matches"], ["needle_one", "needle_two"])
        self.assertEqual((answer["cursor_start"], answer["cursor_end"]), (4, 11))
        answer = await self.complete("漢字.isdig")
        self.assertEqual((answer["cursor_start"], answer["cursor_end"]), (2, 8))
        self.assertEqual(answer["matches"], [".isdigit"])
        self.assertEqual((await self.complete("nothing_like_that"))["matches"], [])
        inside = await self.ask(COMPLETE, code="needle_ + 1", cursor_pos=7)
        self.assertEqual(inside["matches"], ["needle_one", "needle_two"])

    async def test_inspects_names(self) -> None:
        """The answer has the text that `name?` shows in IPython."""
        await self.run_code("1", "def add(a, b):\n    'Adds.'\n    return a + b")
        found = await self.ask("inspect_request", code="add(", cursor_pos=4, detail_level=0)
        self.assertTrue(found["found"])
        self.assertIn("Adds.", found["data"]["text/plain"])
        found = await self.ask("inspect_request", code="add", cursor_pos=3, detail_level=1)
        self.assertIn("return", found["data"]["text/plain"])
        nothing = await self.ask("inspect_request", code="nobody", cursor_pos=3)
        self.assertEqual(nothing, {"found": False, "data": {}})

    async def test_tells_whether_code_is_complete(self) -> None:
        """A console asks this when its user presses Enter."""
        for code, status, indent in (
            ("1 + 1", "complete", ""),
            ("for x in y:", "incomplete", "    "),
            ("a = = 1", "invalid", ""),
        ):
            answer = await self.ask("is_complete_request", code=code)
            self.assertEqual(answer, {"status": status, "indent": indent})

    async def test_lists_the_cells_that_have_run(self) -> None:
        """The history has only cells of this kernel, and no earlier session."""
        for number, code in enumerate(("a = 1", "%time b = 2", "a", "a")):
            await self.run_code(str(number), code)
        tail = await self.ask("history_request", hist_access_type="tail", raw=True, n=2)
        self.assertEqual([each["input"] for each in tail["entries"]], ["a", "a"])
        self.assertEqual([each["line"] for each in tail["entries"]], [3, 4])
        ran = await self.ask(
            "history_request", hist_access_type="range", raw=True, output=True, start=2, stop=4
        )
        cells = [(each["input"], each["output"]) for each in ran["entries"]]
        self.assertEqual(cells, [("%time b = 2", None), ("a", "1")])
        parsed = await self.ask("history_request", hist_access_type="range", start=2, stop=3)
        self.assertIn("run_line_magic", parsed["entries"][0]["input"])
        found = await self.ask(
            "history_request", hist_access_type="search", raw=True, pattern="a*", unique=True
        )
        self.assertEqual([each["line"] for each in found["entries"]], [1, 4])
        none = await self.ask("history_request", hist_access_type="range", session=-1, raw=True)
        self.assertEqual(none, {"entries": []})

    async def test_a_busy_kernel_gives_no_answer(self) -> None:
        """The caller does not wait for the kernel. The kernel of another context answers meanwhile."""
        await self.executor.contexts.create(Context("other", None))
        self.executor.submit(request("1", "import time; time.sleep(60)"))
        await self.started("1")
        with mock.patch.object(questions, "ANSWER_SECONDS", 2 * PATIENCE_SECONDS):
            self.assertIsNone(await self.complete("pri"))
        self.assertIn("print", (await self.complete("pri", "other"))["matches"])
        with self.assertRaises(NoContext):
            await self.complete("pri", "another")
        self.executor.interrupt("1")
        await self.reply("1")
        await self.executor.contexts.delete("other")

    async def test_code_that_comes_meanwhile_runs_after_the_answer(self) -> None:
        """The kernel does one thing at a time."""
        await self.run_code("1", WAITING)
        answer = asyncio.create_task(self.complete("waiting."))
        await self.begun()
        self.executor.submit(request("2", "print('ran')"))
        self.assertEqual(self.frames("2"), [])
        Path(GO).touch()
        self.addCleanup(os.remove, GO)
        self.assertEqual((await self.reply("2"))["content"]["status"], "ok")
        await self.printed("2", "ran")
        self.assertEqual((await answer)["matches"], [".b"])

    async def test_a_kernel_gets_one_question_at_a_time(self) -> None:
        """Callers with further questions learn at once that they get no answer."""
        await self.run_code("1", SLOW)
        first = asyncio.create_task(self.complete("slow."))
        await self.begun()
        self.assertIsNone(await self.complete("pri"))
        pass_limit()
        self.assertIsNone(await first)

    async def test_a_slow_answer_is_given_up(self) -> None:
        """Text that the kernel prints meanwhile is dropped, and queued code runs."""
        await self.run_code("1", SLOW)
        answer = asyncio.create_task(self.complete("slow."))
        await self.begun()
        self.executor.submit(request("2", "print('ran')"))
        pass_limit()
        self.assertIsNone(await answer)
        self.assertEqual((await self.reply("2"))["content"]["status"], "ok")
        await self.printed("2", "ran")
        self.assertIn("print", (await self.complete("pri"))["matches"])
        texts = [frame["content"].get("text") for frame in self.all_frames()]
        self.assertNotIn("never shown\n", texts)

    async def test_an_answer_that_never_ends_costs_the_kernel(self) -> None:
        """As with a leftover of earlier code, the next code reaches its limit, and then the kernel is replaced."""
        await self.run_code("1", DEAF)
        answer = asyncio.create_task(self.complete("deaf."))
        await self.begun()
        pass_limit()
        self.assertIsNone(await answer)
        self.assertIsNone(await self.complete("pri"))
        outcome, _ = await self.run_code("2", "1", timeout_ms=1_500)
        self.assertEqual(outcome, "timeout")
        outcome, text = await self.run_code("3", "print('fresh')")
        self.assertEqual((outcome, text), ("finished", "fresh\n"))
        self.assertIn("print", (await self.complete("pri"))["matches"])

    async def test_a_kernel_that_ends_meanwhile_gives_no_answer(self) -> None:
        """The kernel may die of the question, or be replaced by a restart."""
        await self.run_code("1", "import os\nclass D:\n def __dir__(self): os._exit(3)\nd = D()")
        self.assertIsNone(await self.complete("d."))
        await self.run_code("2", SLOW)
        answer = asyncio.create_task(self.complete("slow."))
        await self.begun()
        await self.executor.restart()
        self.assertIsNone(await answer)
        self.assertIn("print", (await self.complete("pri"))["matches"])

    async def test_forged_answers_of_a_wrong_form_count_as_none(self) -> None:
        """Code can answer in its kernel's name. Answers that are too long are cut."""
        forge = (
            "def forge(reply):\n"
            "    get_ipython().kernel.do_complete = lambda *_: reply\n"
            "good = {'status': 'ok', 'matches': ['x'], 'cursor_start': 0, 'cursor_end': 1}\n"
        )
        await self.run_code("1", forge)
        for number, (more, matches) in enumerate(
            (
                ("{}", ["x"]),
                ("{'matches': [1]}", None),
                ("{'matches': 'x'}", None),
                ("{'cursor_end': 4}", None),
                ("{'cursor_start': 2}", None),
                ("{'cursor_start': -1}", None),
                ("{'cursor_start': True}", None),
                ("{'status': 'error'}", None),
                ("{'matches': ['x' * 20_000_000]}", None),
                ("{'matches': ['y'] * 100_000}", ["y"] * MAX_ANSWER_ITEMS),
                ("{'matches': ['y' * 100_000] * 9}", ["y" * 100_000]),
            )
        ):
            await self.run_code(f"f{number}", f"forge({{**good, **{more}}})")
            answer = await self.complete("abc")
            self.assertEqual(answer and answer["matches"], matches, more)

    async def test_a_question_is_no_execution(self) -> None:
        """A question makes no frames, and the next cell gets the next execution count."""
        await self.run_code("1", "1")
        before = len(self.all_frames())
        await self.complete("pri")
        self.assertEqual(len(self.all_frames()), before)
        await self.run_code("2", "1")
        reply = await self.reply("2")
        self.assertEqual(reply["content"]["execution_count"], 2)

    async def test_the_facts_of_the_kernel_have_its_versions(self) -> None:
        """The facts have the versions that the kernel itself prints."""
        facts: Any = self.executor.kernel_facts
        await self.run_code(
            "1", "import sys, IPython; print(sys.version.split()[0], IPython.__version__)"
        )
        _, text = await self.run_code(
            "2", "print(sys.version.split()[0], IPython.__version__, end='')"
        )
        versions = (facts["language"]["version"], facts["implementation_version"])
        self.assertEqual(" ".join(versions), text)
        self.assertEqual((facts["implementation"], facts["protocol_version"]), ("ipython", "5.3"))


class FormTest(unittest.TestCase):
    """question_of: malformed requests are refused, and long answers are cut."""

    def test_malformed_requests_are_refused(self) -> None:
        """Each request has a wrong field, or lacks a field."""
        for body in (
            {},
            asked("execute_request", code="1"),
            asked("complete_request", code=1, cursor_pos=0),
            asked("complete_request", code="a", cursor_pos=2),
            asked("complete_request", code="a", cursor_pos=True),
            asked("inspect_request", code="a", cursor_pos=0, detail_level=2),
            asked("is_complete_request", code="a" * 300_000),
            asked("history_request", hist_access_type="all"),
            asked("history_request", hist_access_type="tail", n="1"),
            asked("history_request", hist_access_type="search", pattern="a" * 2_000),
        ):
            with self.assertRaises(MalformedMessage):
                question_of(body)

    def test_long_answers_are_cut(self) -> None:
        """Text loses its end, a page in HTML is left out as a whole, and a history loses its oldest entries."""
        inspect = question_of(asked("inspect_request", code="a", cursor_pos=0)).read
        long = "é" * MAX_INSPECTION_BYTES
        data: JsonObject = {"text/plain": long, "text/html": long, "image/png": "x"}
        shown: Any = inspect({"found": True, "data": data})
        self.assertEqual(shown["data"], {"text/plain": "é" * (MAX_INSPECTION_BYTES // 2)})
        history = question_of(asked("history_request", hist_access_type="tail")).read
        half = "h" * (MAX_ANSWER_BYTES // 2)
        cells: list[Any] = [[0, 1, "old"], [0, 2, half], [0, 3, [half, None]]]
        entries: Any = history({"history": cells})["entries"]
        self.assertEqual([entry["line"] for entry in entries], [2, 3])
        wrong: list[Any] = [[0, 1], [0, "1", "a"], [0, 1, 2], [0, 1, ["a", 2]], "cell"]
        for cell in wrong:
            with self.assertRaises(MalformedMessage):
                history({"history": [cell]})
