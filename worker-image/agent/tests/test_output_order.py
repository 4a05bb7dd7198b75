"""A child's output comes between the text that Python prints before and after it, whichever thread reads the pipe."""

from typing import Any

from tests.with_executor import WithExecutor

# While a cell holds this lock, the thread that reads the pipes waits: only the cell can hand on a child's output.
HELD = """
import os, subprocess
from IPython.display import display
from cellhouse_kernel.raw_output import RAW_OUTPUT
with RAW_OUTPUT._lock:
"""


class OutputOrderTest(WithExecutor):
    """On a real kernel."""

    async def shown(self, msg_id: str, code: str) -> list[str]:
        """Run code while no thread reads the pipes; returns its outputs in order as texts, adjacent prints joined."""
        lines = "".join(f"    {line}\n" for line in code.splitlines())
        outcome, _ = await self.run_code(msg_id, HELD + lines)
        self.assertEqual(outcome, "finished")
        shown: list[str] = []
        for frame in self.frames(msg_id):
            kind, content = frame["header"]["msg_type"], frame["content"]
            if content.get("name") == "stderr":
                # Python warns of a fork in a process with threads.
                continue
            if kind == "stream" and shown and shown[-1].startswith("stream "):
                shown[-1] += content["text"]
            elif kind not in ("status", "execute_reply"):
                shown.append(f"{kind} {text_of(content)}")
        return shown

    async def test_output_of_a_child_comes_before_the_next_line(self) -> None:
        code = "print('a')\nsubprocess.run(['echo', 'b'])\nprint('c')"
        self.assertEqual(await self.shown("1", code), ["stream a\nb\nc\n"])

    async def test_output_of_a_child_comes_before_the_end_of_a_begun_line(self) -> None:
        code = "print('a', end='')\nsubprocess.run(['printf', 'b'])\nprint()\nprint('c')"
        self.assertEqual(await self.shown("1", code), ["stream ab\nc\n"])

    async def test_output_of_a_child_comes_before_a_display(self) -> None:
        code = "print('a')\nsubprocess.run(['echo', 'b'])\ndisplay(1)\nprint('c')"
        shown = ["stream a\nb\n", "display_data 1", "stream c\n"]
        self.assertEqual(await self.shown("1", code), shown)

    async def test_output_of_a_child_comes_before_an_error(self) -> None:
        code = "subprocess.run(['echo', 'b'])\nget_ipython().showtraceback((KeyError, KeyError(1), None))"
        self.assertEqual(await self.shown("1", code), ["stream b\n", "error KeyError"])

    async def test_output_of_a_forked_child_comes_after_earlier_output(self) -> None:
        code = (
            "print('a', end='')\n"
            "os.write(1, b'b')\n"
            "child = os.fork()\n"
            "if not child:\n"
            "  print('c')\n"
            "  os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print('d')"
        )
        self.assertEqual(await self.shown("1", code), ["stream abc\nd\n"])

    async def test_the_order_holds_in_each_of_many_rounds(self) -> None:
        rounds = 200
        code = (
            "import subprocess\n"
            f"for n in range({rounds}):\n"
            "  print('a', end='')\n"
            "  subprocess.run(['printf', 'b'])\n"
            "  print()\n"
        )
        self.assertEqual(await self.run_code("1", code), ("finished", "ab\n" * rounds))


def text_of(content: dict[str, Any]) -> str:
    """The text of an output."""
    data = content.get("data", {})
    return str(content.get("text") or content.get("ename") or data.get("text/plain"))
