"""Each cell is transformed once. If a cell changes the transformers, the change holds from the next cell on."""

from tests.with_kernels import WithPreloadedKernels

COUNT = """
calls = []
def count(lines):
    calls.append(lines)
    return lines
get_ipython().input_transformers_post.append(count)
print(0)
"""


class QuickShellTest(WithPreloadedKernels):
    """In a real kernel."""

    async def test_a_cell_is_transformed_once(self) -> None:
        kernel = await self.kernel()
        await kernel.ask(COUNT)
        await kernel.ask("print(1)")
        self.assertEqual(await kernel.ask("print(len(calls))"), 2)

    async def test_a_cell_that_awaits_is_transformed_once(self) -> None:
        kernel = await self.kernel()
        await kernel.ask(COUNT)
        await kernel.ask("import asyncio\nawait asyncio.sleep(0)\nprint(1)")
        self.assertEqual(await kernel.ask("print(len(calls))"), 2)

    async def test_cells_that_a_cell_runs_are_transformed_separately(self) -> None:
        kernel = await self.kernel()
        code = "shell = get_ipython()\ncode = '%who_ls'\n"
        twice = "first = shell.run_cell(code).result\n" * 2 + "print(int(first is not None))"
        self.assertEqual(await kernel.ask(code + twice), 1)

    async def test_the_same_code_runs_again_as_another_cell(self) -> None:
        kernel = await self.kernel()
        same = "n = globals().get('n', 0) + 1\nprint(n)"
        self.assertEqual([await kernel.ask(same), await kernel.ask(same)], [1, 2])

    async def test_long_code_is_not_hashed_in_python(self) -> None:
        kernel = await self.kernel()
        measure = "import time; began = time.process_time()"
        await kernel.ask(f"{measure}; print(0)")
        code = "# " + "x" * 1_000_000 + "\nprint(time.process_time() - began)"
        seconds = await kernel.ask(code)
        assert isinstance(seconds, float)
        # A hash computed in Python took longer than this by itself.
        self.assertLess(seconds, 0.2)
