"""Odd commands, each with its end as docs/internals/worker-protocol.md ("Odd commands") says."""

import asyncio
import hashlib
import random
import time
from typing import Any

from cellhouse_agent.commands.commands import MAX_COMMANDS
from cellhouse_agent.processes.user_processes import user_processes

from tests.with_clock import LIMIT_MS, pass_limit
from tests.with_commands import MAX_OUTPUT_BYTES, WithCommands, command
from tests.with_executor import LONG_GRACE_MS, PATIENCE_SECONDS, SHORT_GRACE_MS
from tests.with_processes import wait_until_idle

# Limits of code that reaches its time limit. Such code prints `on` when it is ready for the interrupt: before that, an
# interrupt could be missed, or end the code in another way.
PATIENT: dict[str, Any] = {"timeout_ms": LIMIT_MS, "grace_ms": LONG_GRACE_MS}
# The same for code that ignores SIGINT.
SHORT: dict[str, Any] = {"timeout_ms": LIMIT_MS, "grace_ms": SHORT_GRACE_MS}
# A command that ends at once takes far less time than this. A process that it left running would take more.
AT_ONCE_SECONDS = 30.0
# The name, the code, its limits, and its end: outcome, exit code, signal, standard output.
ENDS: list[tuple[str, str, dict[str, Any], tuple[str, int | None, str | None, str]]] = [
    ("an exit code", "echo out; echo err >&2; exit 3", {}, ("finished", 3, None, "out\n")),
    ("no such program", "no-such-program", {}, ("finished", 127, None, "")),
    ("a syntax error", "if", {}, ("finished", 2, None, "")),
    ("nothing", "", {}, ("finished", 0, None, "")),
    ("a pipeline that ends early", "yes | head -n 1", {}, ("finished", 0, None, "y\n")),
    ("itself killed", "echo out; kill -9 $$", {}, ("finished", None, "SIGKILL", "out\n")),
    ("its group killed", "echo out; kill -9 0", {}, ("finished", None, "SIGKILL", "out\n")),
    ("a real-time signal", "kill -40 $$", {}, ("finished", None, "SIG40", "")),
    ("another program, in time", "exec echo out", {}, ("finished", 0, None, "out\n")),
    (
        "another program, too long",
        "echo on; exec sleep 60",
        PATIENT,
        ("timeout", None, "SIGINT", "on\n"),
    ),
    (
        "a child that is too long",
        "echo on; sleep 60; echo",
        PATIENT,
        ("timeout", None, "SIGINT", "on\n"),
    ),
    (
        "a clean end at the limit",
        "trap 'echo bye; exit 5' INT; echo on; sleep 60 & wait",
        PATIENT,
        ("timeout", 5, None, "on\nbye\n"),
    ),
    (
        "no interest in signals",
        "trap '' INT TERM HUP; echo on; sleep 60; echo never",
        SHORT,
        ("timeout", None, "SIGKILL", "on\n"),
    ),
    (
        "stopped by itself",
        "echo on; kill -STOP $$; echo",
        PATIENT,
        ("timeout", None, "SIGINT", "on\n"),
    ),
    (
        "stopped, without interest",
        "trap '' INT; echo on; kill -STOP $$; sleep 60",
        SHORT,
        ("timeout", None, "SIGKILL", "on\n"),
    ),
    ("no input", "cat; echo end", {}, ("finished", 0, None, "end\n")),
    ("input closed", "exec <&-; cat; echo $?", {}, ("finished", 0, None, "1\n")),
    ("outputs closed", "exec >&- 2>&-; sleep 0.1; exit 4", {}, ("finished", 4, None, "")),
    (
        "a grandchild that would write later",
        "(sleep 60; echo late) & echo now",
        {},
        ("finished", 0, None, "now\n"),
    ),
    (
        "a session of its own, and a double fork",
        "setsid sleep 60 & (setsid sh -c 'sleep 60 & sleep 60' &); echo now",
        {},
        ("finished", 0, None, "now\n"),
    ),
    (
        "children that ignore signals",
        "trap '' INT TERM; for n in 1 2 3; do (while :; do sleep 1; done) & done; exit 6",
        {},
        ("finished", 6, None, ""),
    ),
]
BINARY = "import os, sys; os.write(1, bytes.fromhex(sys.argv[1]))"
SOME = bytes(range(256)) + "漢".encode() + b"\xe6\xbc"


class OddCommands(WithCommands):
    """Each test has an executor of its own."""

    async def test_each_command_ends_as_documented_and_leaves_no_process(self) -> None:
        for name, code, limits, (outcome, exit_code, signal, text) in ENDS:
            with self.subTest(name):
                began = time.monotonic()
                self.executor.submit(command(name, code, **limits))
                if limits:
                    await self.wrote(name, b"on\n")
                    # Now it only sleeps, or is stopped.
                    wait_until_idle()
                    pass_limit()
                report = await self.report(name)
                self.assertLess(time.monotonic() - began, AT_ONCE_SECONDS)
                ended = (report["outcome"], report["exit_code"], report["signal"])
                self.assertEqual(ended, (outcome, exit_code, signal), report)
                self.assertEqual(self.written(name).decode(), text)
                self.assertEqual(report["state_lost"], False)
                self.assertEqual(report["ename"], None)
                self.assertGreaterEqual(report["finished_at"], report["started_at"])
                self.assertEqual(list(user_processes()), [])

    async def test_a_command_that_kills_all_of_its_user_ends_other_commands_too(self) -> None:
        self.executor.submit(command("1", "sleep 60 & setsid sleep 60 & echo on; wait"))
        await self.wrote("1", b"on")
        report = await self.run_command("2", "kill -9 -1; exit 3")
        # Linux spares the caller of kill(-1); gVisor does not.
        self.assertIn((report["exit_code"], report["signal"]), ((3, None), (None, "SIGKILL")))
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["signal"]), ("finished", "SIGKILL"))
        self.assertEqual(await self.output("3", "echo next"), "next\n")

    async def test_ten_megabytes_without_a_newline_arrive(self) -> None:
        count = 10_000_000
        report = await self.run_command("1", f"head -c {count} /dev/zero | tr '\\0' x")
        self.assertEqual(self.written("1"), b"x" * count)
        self.assertEqual((report["output_bytes"], report["dropped_bytes"]), (count, 0))
        self.assertFalse(any("base64" in frame["content"] for frame in self.frames("1")))

    async def test_binary_output_arrives_byte_for_byte(self) -> None:
        report = await self.run_command("1", f"python3 -c '{BINARY}' {SOME.hex()}")
        self.assertEqual(self.written("1"), SOME)
        self.assertEqual(report["output_bytes"], len(SOME))
        many = random.Random(1).randbytes(3_000_000)
        code = "import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes(3_000_000))"
        await self.run_command("2", f"python3 -c '{code}'")
        digests = [hashlib.sha256(data).hexdigest() for data in (self.written("2"), many)]
        self.assertEqual(*digests)

    async def test_the_two_outputs_are_kept_apart(self) -> None:
        code = "for n in 1 2 3; do echo out $n; echo err $n >&2; done"
        await self.run_command("1", code)
        self.assertEqual(self.written("1").decode(), "out 1\nout 2\nout 3\n")
        self.assertEqual(self.written("1", "stderr").decode(), "err 1\nerr 2\nerr 3\n")

    async def test_a_grandchild_that_writes_without_end_delays_nothing(self) -> None:
        report = await self.run_command("1", "yes more & sleep 0.2; echo; exit 7")
        self.assertEqual((report["outcome"], report["exit_code"]), ("finished", 7))

    async def test_more_commands_than_may_run_at_once_all_end(self) -> None:
        extra = 20
        code = "echo $N; sleep 0.5; exit $((N % 100))"
        names = [str(number) for number in range(MAX_COMMANDS + extra)]
        for name in names:
            self.executor.submit(command(name, f"N={name}; {code}"))
        reports: list[dict[str, Any]] = [await self.report(name) for name in names]
        for number, report in enumerate(reports):
            # The container may have no process left for some commands. Such a command fails and has written nothing.
            if report["ename"] is not None:
                self.assertEqual(report["ename"], "CommandNotStarted")
                self.assertEqual(self.written(str(number)), b"")
                continue
            self.assertEqual((report["outcome"], report["exit_code"]), ("finished", number % 100))
            self.assertEqual(self.written(str(number)).decode(), f"{number}\n")
        began = sum(report["ename"] is None for report in reports)
        self.assertGreater(began, MAX_COMMANDS // 4)

    async def test_a_flood_is_cut_at_its_output_limit_and_ends_at_its_time_limit(self) -> None:
        self.executor.submit(command("1", "yes", **PATIENT))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.buffer.size_bytes < MAX_OUTPUT_BYTES:
                await asyncio.sleep(0.01)
        pass_limit()
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["signal"]), ("timeout", "SIGINT"))
        kept = len(self.written("1"))
        self.assertEqual(report["output_bytes"], kept + report["dropped_bytes"])
        if report["dropped_bytes"]:
            gaps = [f for f in self.frames("1") if f["header"]["msg_type"] == "cellhouse_gap"]
            self.assertEqual([gap["content"]["reason"] for gap in gaps], ["output_limit"])

    async def test_code_that_cannot_be_started_fails_with_the_reason(self) -> None:
        for name, code, reason in (
            ("nul", "echo \0", "The code contains a NUL character"),
            ("long", "#" * 131_072, "The code is longer than 131071 bytes"),
        ):
            report = await self.run_command(name, code)
            ended = (report["ename"], report["evalue"], report["exit_code"], report["started_at"])
            self.assertEqual(ended, ("CommandNotStarted", reason, None, None))
        self.assertEqual(await self.output("longest", ": " + "#" * 131_069), "")
        self.assertEqual(await self.output("next", "echo next"), "next\n")

    async def test_an_interrupt_ends_a_server_with_all_its_processes(self) -> None:
        self.executor.submit(command("1", "python3 -u -m http.server 8123 --bind 127.0.0.1"))
        await self.wrote("1", b"Serving")
        fetch = "python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:8123/').status)\""
        self.assertEqual(await self.output("2", fetch), "200\n")
        self.assertEqual(self.executor.interrupt("1", "r"), (True, True))
        report = await self.report("1")
        self.assertEqual((report["outcome"], report["exit_code"]), ("interrupted", 0))
        self.assertEqual(list(user_processes()), [])
