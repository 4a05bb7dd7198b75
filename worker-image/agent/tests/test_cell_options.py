"""Silent cells, cells outside of the history, and expressions, with real kernels: run as root in the worker image."""

import json
from dataclasses import replace
from typing import Any

from cellhouse_agent.gateway.requests import (
    MAX_EXPRESSIONS,
    CellOptions,
    ExecuteRequest,
    parse_frame,
)
from cellhouse_agent.json_values import MalformedMessage

from tests.with_executor import WithExecutor, request

SILENT = CellOptions(silent=True, store_history=False)
UNSTORED = CellOptions(store_history=False)
SHORT_MS = 1_000


def asking(**expressions: str) -> CellOptions:
    """The options of a cell after which these expressions are evaluated."""
    return CellOptions(user_expressions=expressions)


class CellOptionsTest(WithExecutor):
    """Each test has a kernel of its own."""

    async def run_with(
        self, msg_id: str, code: str, options: CellOptions, timeout_ms: int = 30_000
    ) -> dict[str, Any]:
        """Run a cell; returns its reply."""
        asked = request(msg_id, code, timeout_ms, 2_000, max_output_bytes=200_000)
        self.executor.submit(replace(asked, options=options))
        return await self.reply(msg_id)

    def contents(self, msg_id: str, msg_type: str) -> list[dict[str, Any]]:
        """The contents of the frames of this type."""
        return [
            frame["content"]
            for frame in self.frames(msg_id)
            if frame["header"]["msg_type"] == msg_type
        ]

    def results(self, msg_id: str) -> dict[str, Any]:
        """The results of the expressions."""
        (content,) = self.contents(msg_id, "cellhouse_expressions")
        return dict(content["results"])

    async def test_silent_cells(self) -> None:
        """Silent cells print and raise, but have no execution count and no result."""
        await self.run_with("1", "print('shown'); a = 1\na", SILENT)
        self.assertEqual(self.contents("1", "stream"), [{"name": "stdout", "text": "shown\n"}])
        self.assertEqual(self.contents("1", "execute_result"), [])
        self.assertEqual(self.contents("1", "status")[0], {"execution_state": "busy"})
        reply = await self.run_with("2", "a + nothing", SILENT)
        self.assertEqual(reply["content"]["ename"], "NameError")
        reply = await self.run_with("3", "a", CellOptions())
        self.assertEqual(reply["content"]["execution_count"], 1)
        self.assertEqual(self.contents("3", "status")[0]["execution_count"], 1)

    async def test_a_silent_cell_can_be_interrupted(self) -> None:
        """The time limit interrupts a silent cell like any other, and its kernel goes on."""
        reply = await self.run_with("1", "import time; time.sleep(60)", SILENT, SHORT_MS)
        report = reply["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["state_lost"]), ("timeout", False))

    async def test_cells_outside_of_the_history(self) -> None:
        """Cells outside of the history show their results, but the execution count stays."""
        await self.run_with("1", "'one'", UNSTORED)
        self.assertEqual(self.contents("1", "execute_result")[0]["data"], {"text/plain": "'one'"})
        reply = await self.run_with("2", "In[1:]", CellOptions())
        self.assertEqual(reply["content"]["execution_count"], 1)
        self.assertEqual(
            self.contents("2", "execute_result")[0]["data"], {"text/plain": "['In[1:]']"}
        )

    async def test_expressions(self) -> None:
        """Each expression has a value or an error of its own."""
        await self.run_with("1", "x = 6", asking(six="x * 7", no="1 / 0", odd="(", 漢="'\\ud800'"))
        results = self.results("1")
        self.assertEqual(
            results["six"], {"status": "ok", "data": {"text/plain": "42"}, "metadata": {}}
        )
        no = results["no"]
        self.assertEqual((no["status"], no["ename"]), ("error", "ZeroDivisionError"))
        self.assertEqual(results["odd"]["ename"], "SyntaxError")
        self.assertEqual(results["漢"]["data"]["text/plain"], "'\\ud800'")
        types = [frame["header"]["msg_type"] for frame in self.frames("1")]
        self.assertEqual(types[-3:], ["cellhouse_expressions", "status", "execute_reply"])

    async def test_expressions_after_an_error_or_nothing(self) -> None:
        """After a cell that fails, no expression is evaluated. After an empty cell, expressions are evaluated."""
        await self.run_with("1", "1 / 0", asking(a="1"))
        self.assertEqual(self.contents("1", "cellhouse_expressions"), [])
        await self.run_with("2", "", asking(a="1 + 1"))
        self.assertEqual(self.results("2")["a"]["data"], {"text/plain": "2"})
        await self.run_with("3", "import asyncio; await asyncio.sleep(0)", asking(a="1 + 2"))
        self.assertEqual(self.results("3")["a"]["data"], {"text/plain": "3"})

    async def test_odd_expressions(self) -> None:
        """Expressions that raise, exit or fork leave the kernel running."""
        define = (
            "class Odd(Exception):\n def __str__(self): raise self\n"
            "class Shown:\n def __repr__(self): 1 / 0\n"
            "def odd(): raise Odd\ndef leave(): raise SystemExit(3)\n"
        )
        await self.run_with("1", define, CellOptions())
        odd = asking(odd="odd()", leave="leave()", shown="Shown()", fork="__import__('os').fork()")
        await self.run_with("2", "", odd)
        names = {name: result.get("ename") for name, result in self.results("2").items()}
        expected = {"odd": "Odd", "leave": "SystemExit", "shown": "ZeroDivisionError", "fork": None}
        self.assertEqual(names, expected)
        self.assertEqual(self.contents("2", "error"), [])
        reply = await self.run_with("3", "1", CellOptions())
        self.assertFalse(reply["metadata"]["cellhouse"]["state_lost"])

    async def test_expressions_end_at_the_limit(self) -> None:
        """The time limit ends expressions, however many there are, and also after a cell that awaits."""
        slow = {f"slow{number}": "time.sleep(60)" for number in range(9)}
        for msg_id, code in (
            ("1", "import time"),
            ("2", "await __import__('asyncio').sleep(0)"),
            ("3", ""),
        ):
            reply = await self.run_with(msg_id, code, CellOptions(user_expressions=slow), SHORT_MS)
            report = reply["metadata"]["cellhouse"]
            self.assertEqual((report["outcome"], report["state_lost"]), ("timeout", False), code)
            names = {result["ename"] for result in self.results(msg_id).values()}
            self.assertEqual(names, {"KeyboardInterrupt"})

    async def test_results_have_the_limits_of_output(self) -> None:
        """Results that are too large or malformed become a gap. Results that nobody asked for are dropped."""
        await self.run_with("1", "", asking(much="'a' * 300_000"))
        self.assertEqual(self.contents("1", "cellhouse_expressions"), [])
        self.assertEqual(self.contents("1", "cellhouse_gap")[0]["reason"], "output_limit")
        forge = (
            "kernel = get_ipython().kernel\n"
            "def forge(content): kernel.session.send(kernel.iopub_socket, 'user_expressions',"
            " content, kernel.get_parent())\n"
        )
        await self.run_with("2", forge + "forge({})", CellOptions())
        self.assertEqual(self.contents("2", "cellhouse_expressions"), [])
        for number, content in enumerate(({"b": {}}, {"a": 1}, {"a": {"status": "ok", "data": 1}})):
            reply = await self.run_with(f"f{number}", f"forge({content!r})", asking(a="1"))
            self.assertEqual(reply["content"]["status"], "ok")
            self.assertEqual(self.contents(f"f{number}", "cellhouse_gap")[0]["reason"], "malformed")
            self.assertEqual(self.results(f"f{number}")["a"]["data"], {"text/plain": "1"})

    async def test_the_frame_of_a_request(self) -> None:
        """An option that is left out has Jupyter's default. A wrong value is refused."""
        self.assertEqual(_parsed({}).options, CellOptions())
        self.assertEqual(_parsed({"silent": True, "store_history": True}).options, SILENT)
        self.assertEqual(_parsed({"store_history": False}).options, UNSTORED)
        self.assertEqual(_parsed({"user_expressions": {"a": "1"}}).options, asking(a="1"))
        many = {f"n{number}": "1" for number in range(MAX_EXPRESSIONS + 1)}
        wrongs: list[Any] = [[], {"a": 1}, {"a" * 200: "1"}, many]
        for wrong in wrongs:
            with self.assertRaises(MalformedMessage):
                _parsed({"user_expressions": wrong})


def _parsed(content: dict[str, Any]) -> ExecuteRequest:
    limits = {"timeout_ms": 1, "grace_ms": 1, "max_output_bytes": 1}
    frame = {
        "channel": "shell",
        "header": {"msg_id": "1", "msg_type": "execute_request"},
        "metadata": {"cellhouse": limits},
        "content": {"code": "1", **content},
    }
    parsed = parse_frame(json.dumps(frame))
    assert isinstance(parsed, ExecuteRequest)
    return parsed
