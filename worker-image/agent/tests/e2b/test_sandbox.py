"""Only kernels of a sandbox of E2B show further formats: with real kernels. Run as root in the worker image."""

from cellhouse_agent.gateway.requests import ExecuteRequest, Surroundings
from tests.e2b.with_sandbox import SANDBOX, WithSandbox
from tests.with_executor import LONG_GRACE_MS, WithExecutor

LIST, PLAIN = "[1]", {"text/plain": "[1]"}
MORE = {**PLAIN, "application/json": [1]}
# Prints the parts of a kernel that could show further formats.
PARTS = """
import sys
from PIL import Image
formatter = get_ipython().display_formatter
print(sorted(m for m in sys.modules if m.startswith("cellhouse_kernel.e2b")))
print(len(formatter.formatters), formatter.formatters["text/plain"].max_seq_length)
print(list(formatter.formatters["application/json"].type_printers))
print(Image.Image.save.__module__, Image.Image.show.__module__, "PIL.ImageShow" in sys.modules)
"""
OWN_PARTS = """['cellhouse_kernel.e2b']
10 1000
[]
PIL.Image PIL.Image False
"""


class EveryKernelOfASandbox(WithSandbox):
    """A kernel of a session whose variable E2B_SANDBOX is `true`."""

    async def test_shows_more_after_a_restart_a_death_and_without_a_fork_server(self) -> None:
        self.assertEqual(await self.shown(LIST), MORE)
        await self.executor.restart()
        self.assertEqual(await self.shown(LIST), MORE)
        await self.run_code("ends", "import os; os._exit(3)")
        self.assertEqual(await self.shown(LIST), MORE)
        await self.launcher.close()
        await self.executor.restart()
        code = (
            "import sys; assert 'matplotlib' not in sys.modules and 'pandas' not in sys.modules\n"
        )
        self.assertEqual(await self.shown(code + LIST), MORE)
        draw = "import matplotlib.pyplot as plt\nlines = plt.plot([1, 2, 3])\nplt.show()"
        self.assertEqual((await self.shown(draw))["e2b/chart"]["type"], "line")
        table = await self.shown("import pandas\npandas.DataFrame({'a': [1]})")
        self.assertEqual(table["e2b/data"], {"a": [1]})
        image = "from PIL import Image\nImage.new('L', (1, 1)).save('/tmp/a.png')"
        self.assertIn("image/png", await self.shown(image))

    async def test_displays_a_picture_once_even_if_variables_are_set_again(self) -> None:
        self.executor.set_variables({**SANDBOX, "A": "1"})
        code = "from PIL import Image\nImage.new('L', (1, 1)).save('/tmp/a.png')"
        self.assertEqual(len(await self.run_cell(code)), 1)

    async def test_imports_the_module_of_charts_only_for_a_figure(self) -> None:
        code = "import sys\nassert 'cellhouse_kernel.e2b.charts' not in sys.modules\n"
        self.assertEqual(await self.shown(code + LIST), MORE)


class EveryOtherKernel(WithExecutor):
    """A kernel of a session whose variable E2B_SANDBOX is missing or not `true`."""

    async def shown(self, msg_id: str) -> object:
        """The data of the only output that has data."""
        frames = self.frames(msg_id)
        (data,) = [f["content"]["data"] for f in frames if "data" in f["content"]]
        return data

    async def test_shows_no_further_formats(self) -> None:
        for number, variables in enumerate(({}, {"A": "1"}, {"E2B_SANDBOX": "false"})):
            self.executor.set_variables(variables)
            _, text = await self.run_code(f"parts {number}", PARTS)
            self.assertEqual(text, OWN_PARTS)
            await self.run_code(f"list {number}", LIST)
            self.assertEqual(await self.shown(f"list {number}"), PLAIN)

    async def test_shows_no_further_formats_if_one_execution_has_the_variable(self) -> None:
        limits = (30_000, LONG_GRACE_MS, 1_000_000)
        found = Surroundings(SANDBOX, None)
        self.executor.submit(
            ExecuteRequest("one", LIST, {"msg_id": "one"}, *limits, surroundings=found)
        )
        await self.reply("one")
        self.assertEqual(await self.shown("one"), PLAIN)
