"""Operations as a gateway asks for them, over a socket, with a real kernel: run as root in the worker image."""

import asyncio
import base64
import os
import tempfile
import unittest
from dataclasses import replace
from typing import Any

from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.gateway.http_api import MAX_REMEMBERED, RememberedAnswers
from cellhouse_agent.gateway.operations import MAX_PART_BYTES, OPERATIONS
from cellhouse_agent.gateway.server import serve
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.services import Services
from cellhouse_agent.usage.container import find_usage
from tests.with_executor import WithExecutor, request
from tests.with_files import fork_as_agent
from tests.with_socket import EPOCH, Socket

BAD_REQUEST = "bad_request"


class OperationsTest(WithExecutor, Socket):
    """A worker with its socket."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.path = os.path.join(folder, "agent.sock")
        gate = GatewayGate(asyncio.get_running_loop().time)
        files = FilesHelper(fork_as_agent())
        self.addAsyncCleanup(files.close)
        services = Services("boot", self.executor, self.buffer, gate, find_usage(), files)
        self.addCleanup(serve(self.path, services))

    async def test_operations_with_get_need_no_epoch(self) -> None:
        status, health = await self.ask("GET", "/health")
        self.assertEqual(status, 200)
        # test_questions.py checks its content.
        self.assertIn("language", health.pop("kernel_info"))
        self.assertEqual(
            health,
            {
                "status": "ok",
                "boot_id": "boot",
                "kernel": "idle",
                "features": ["processes"],
                "contexts": [],
            },
        )
        status, usage = await self.ask("GET", "/usage")
        self.assertEqual(status, 200)
        memory = {"memory_bytes", "memory_limit_bytes", "cache_bytes"}
        disks = {"disk_bytes", "disk_limit_bytes"}
        self.assertEqual(set(usage), {"clock_ms", "cpu_ms", "oom_kills"} | memory | disks)

    async def test_an_unknown_path_is_not_found(self) -> None:
        for path in ("/", "/unknown", "/interrupt/more"):
            self.assertEqual(await self.ask("POST", path), (404, {"error": "not_found"}))

    async def test_each_operation_has_one_method(self) -> None:
        for operation in OPERATIONS:
            other = "GET" if operation.method == "POST" else "POST"
            with self.subTest(operation.name):
                answer = await self.ask(other, f"/{operation.name}")
                self.assertEqual(answer, (405, {"error": "method_not_allowed"}))

    async def test_each_operation_with_post_requires_an_epoch_that_is_not_stale(self) -> None:
        acting = [operation.name for operation in OPERATIONS if operation.method == "POST"]
        self.assertTrue(acting)
        await self.call("interrupt", msg_id="never")
        for name in acting:
            for epoch in (None, -1, 1.5, "7", True, 2**54):
                with self.subTest(name, epoch=epoch):
                    status, answer = await self.call(name, epoch=epoch)
                    self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
                    self.assertIn("epoch", answer["message"])
            with self.subTest(name, epoch="stale"):
                # A stale epoch is refused before any other field is checked.
                refused = await self.call(name, epoch=EPOCH - 1, request_id=1)
                self.assertEqual(refused, (409, {"error": "stale_epoch", "epoch": EPOCH}))
        self.assertEqual(self.executor.generation, 1)

    async def test_each_operation_with_post_refuses_a_malformed_request(self) -> None:
        for name in (operation.name for operation in OPERATIONS if operation.method == "POST"):
            for body in (b"", b"{", b"[]", b"\xff", b'{"epoch": NaN}'):
                with self.subTest(name, body=body):
                    status, answer = await self.ask("POST", f"/{name}", body)
                    self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
            for request_id in ("", 1, "x" * 129, ["r"]):
                with self.subTest(name, request_id=request_id):
                    fields = {"msg_id": "1", "variables": {}, "context_id": "1"}
                    size = {"columns": 80, "rows": 24, "offset": 0}
                    question = {"msg_type": "is_complete_request", "content": {"code": ""}}
                    status, answer = await self.call(
                        name, **fields, **size, **question, request_id=request_id
                    )
                    self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
                    self.assertIn("request_id", answer["message"])
        self.assertEqual(self.executor.generation, 1)

    async def test_an_interrupt_must_name_an_execution(self) -> None:
        for msg_id in (None, "", 5, "x" * 129):
            with self.subTest(msg_id=msg_id):
                status, answer = await self.call("interrupt", msg_id=msg_id)
                self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
                self.assertIn("msg_id", answer["message"])

    async def test_an_interrupt_may_name_one_of_two_signals(self) -> None:
        for name in ("SIGTERM", "SIGKILL"):
            status, _ = await self.call("interrupt", msg_id="1", signal=name)
            self.assertEqual(status, 200)
        for wrong in ("SIGSTOP", "SIGINT", "", 9, True, ["SIGKILL"]):
            with self.subTest(wrong=wrong):
                status, answer = await self.call("interrupt", msg_id="1", signal=wrong)
                self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
                self.assertIn("signal", answer["message"])

    async def test_an_interrupt_that_is_sent_again_gets_an_up_to_date_answer(self) -> None:
        ask = {"msg_id": "1", "request_id": "r1"}
        self.assertEqual(
            await self.call("interrupt", **ask), (200, {"interrupted": False, "known": False})
        )
        self.executor.submit(request("1", "print('never')"))
        self.assertEqual(
            await self.call("interrupt", **ask), (200, {"interrupted": False, "known": True})
        )
        report = (await self.reply("1"))["metadata"]["cellhouse"]
        self.assertEqual((report["outcome"], report["started_at"]), ("interrupted", None))

    async def test_input_says_what_was_taken(self) -> None:
        self.executor.submit(replace(request("1", "print(input())"), allows_asking=True))
        part = {"msg_id": "1", "offset": 0, "base64": "YWJj"}
        taken = (200, {"known": True, "accepted": 3, "closed": False})
        self.assertEqual(await self.call("input", **part, request_id="r"), taken)
        self.assertEqual(await self.call("input", **part, request_id="r"), taken)
        ahead = await self.call("input", **{**part, "offset": 4})
        self.assertEqual(ahead, (422, {"error": "out_of_order", "accepted": 3}))
        status, _ = await self.call("input", msg_id="1", offset=3, close=True)
        self.assertEqual(status, 200)
        await self.reply("1")
        unknown = (200, {"known": False, "accepted": 0, "closed": False})
        self.assertEqual(await self.call("input", **part), unknown)
        resized = await self.call("resize", msg_id="1", columns=80, rows=24)
        self.assertEqual(resized, (200, {"known": False}))

    async def test_malformed_input_is_refused(self) -> None:
        part = {"msg_id": "1", "offset": 0, "base64": "", "columns": 80, "rows": 24}
        long = base64.b64encode(bytes(MAX_PART_BYTES + 1)).decode()
        malformed: list[tuple[str, str, Any]] = [
            *(("input", "offset", value) for value in (None, -1, 1.5, "0", True)),
            *(("input", "base64", value) for value in (None, 1, "a", "a===", "é", long)),
            *(("input", "close", value) for value in (None, 1, "true")),
            *(
                ("resize", name, value)
                for name in ("columns", "rows")
                for value in (None, 0, 65_536)
            ),
            *((name, "msg_id", value) for name in ("input", "resize") for value in (None, "", 5)),
        ]
        for name, field, value in malformed:
            with self.subTest(name, field=field, value=str(value)[:10]):
                status, answer = await self.call(name, **{**part, field: value})
                self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
                self.assertIn(field, answer["message"])

    async def test_variables_are_an_object_of_text(self) -> None:
        malformed: list[Any] = [None, [], {"A": 1}, {"A=": "secret"}, {"A": "secret\0"}]
        for variables in malformed:
            with self.subTest(variables=variables):
                status, answer = await self.call("variables", variables=variables)
                self.assertEqual((status, answer["error"]), (400, BAD_REQUEST))
                self.assertIn("variables", answer["message"])
                self.assertNotIn("secret", answer["message"])
        given = await self.call("variables", variables={"A": "\x01" * 120_000}, request_id="r")
        self.assertEqual(given, (200, {"count": 1}))
        _, text = await self.run_code("1", "import os; print(len(os.environ['A']))")
        self.assertEqual(text, "120000\n")

    async def test_a_request_without_variables_changes_none(self) -> None:
        await self.call("variables", variables={"A": "a"})
        # A gateway that was paused may send this after another gateway has opened the session.
        self.assertEqual(await self.call("variables", variables={}), (200, {"count": 0}))
        await self.call("restart")
        _, text = await self.run_code("1", "import os; print(os.environ['A'])")
        self.assertEqual(text, "a\n")

    async def test_a_restart_that_is_sent_again_restarts_once(self) -> None:
        restarts = [self.call("restart", request_id="r1"), self.call("restart", request_id="r1")]
        second, third = (200, {"kernel_generation": 2}), (200, {"kernel_generation": 3})
        self.assertEqual(await asyncio.gather(*restarts), [second, second])
        self.assertEqual(await self.call("restart", request_id="r1"), second)
        self.assertEqual(await self.call("restart", request_id="r2"), third)
        self.assertEqual(await self.call("restart", request_id="r1"), second)
        # Without a request_id, each request restarts the kernel.
        self.assertEqual(await self.call("restart"), (200, {"kernel_generation": 4}))


class RememberedAnswersTest(unittest.IsolatedAsyncioTestCase):
    """Which requests run once, and which run again."""

    async def asyncSetUp(self) -> None:
        self.answers = RememberedAnswers()
        self.runs = 0

    async def run_it(self) -> JsonObject:
        """Count the runs."""
        self.runs += 1
        return {"run": self.runs}

    async def run_into_trouble(self) -> JsonObject:
        """Count the runs, and fail."""
        self.runs += 1
        raise OSError

    async def test_a_request_that_failed_runs_again(self) -> None:
        with self.assertRaises(OSError):
            await self.answers.of("r", self.run_into_trouble)
        self.assertEqual(await self.answers.of("r", self.run_it), {"run": 2})
        self.assertEqual(await self.answers.of("r", self.run_it), {"run": 2})

    async def test_a_run_goes_on_when_its_caller_gives_up(self) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def wait() -> JsonObject:
            begun.set()
            await go.wait()
            return await self.run_it()

        first = asyncio.create_task(self.answers.of("r", wait))
        await begun.wait()
        first.cancel()
        again = asyncio.create_task(self.answers.of("r", wait))
        go.set()
        self.assertEqual(await again, {"run": 1})

    async def test_forgets_the_oldest_answer(self) -> None:
        for number in range(MAX_REMEMBERED + 1):
            await self.answers.of(str(number), self.run_it)
        self.assertEqual(
            await self.answers.of("1", self.run_it), {"run": 2}, "the oldest that is remembered"
        )
        self.assertEqual(await self.answers.of("0", self.run_it), {"run": MAX_REMEMBERED + 2})


if __name__ == "__main__":
    unittest.main()
