"""A kernel keeps its output pipes for the next execution only if no other process can have them open."""

from tests.with_kernels import WithPreloadedKernels

INODES = "import os\nprint(int(f'{os.fstat(1).st_ino}{os.fstat(2).st_ino}'))"

ASKS = 20


class BirthsTest(WithPreloadedKernels):
    """In a real kernel."""

    async def test_pipes_stay_while_nothing_is_started(self) -> None:
        kernel = await self.kernel()
        # Other programs in the test container start processes too, so some pipes may change.
        seen = [await kernel.ask(INODES) for _ in range(ASKS)]
        self.assertLess(len(set(map(str, seen))), ASKS)

    async def test_pipes_are_new_after_code_that_may_have_shared_or_changed_them(self) -> None:
        kernel = await self.kernel()
        for code in (
            "import subprocess\nsubprocess.run(['true'])",
            "pid = os.fork()\nos._exit(0) if pid == 0 else os.waitpid(pid, 0)",
            "import threading\nt = threading.Thread(target=int); t.start(); t.join()",
            "os.dup2(os.open('/dev/null', os.O_WRONLY), 1)",
            "os.close(2)",
            "os.set_blocking(1, False)",
        ):
            with self.subTest(code):
                before = await kernel.ask(INODES)
                await kernel.ask(f"import sys\n{code}\nprint(1)")
                self.assertNotEqual(await kernel.ask(INODES), before)
                self.assertEqual(await kernel.ask("print(int(os.get_blocking(1)))"), 1)
