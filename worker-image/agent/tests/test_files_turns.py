"""No operation of the helper blocks another, and an operation ends when its caller is gone."""

import asyncio
import os
import subprocess
import unittest

from cellhouse_files.archives.tar_header import FILE, Header, header_bytes
from cellhouse_kernel.privileges import KERNEL_UID
from tests.with_archives import WithArchives
from tests.with_files import PATIENCE_SECONDS

# More than a pipe holds.
LARGE_BYTES = 10_000_000
# Several turns of a deletion.
MANY_FILES = 5_000


class Beside(WithArchives):
    """Operations that run at the same time."""

    async def in_time(self, name: str = "") -> None:
        """Check that the helper answers soon: a `stat` takes one turn."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.ask("stat", name)

    async def test_user_code_that_never_ends_delays_no_operation(self) -> None:
        for _ in range(os.cpu_count() or 1):
            busy = subprocess.Popen(["python3", "-c", "while True: pass"], user=KERNEL_UID)
            self.addCleanup(busy.wait)
            self.addCleanup(busy.kill)
        await self.write("file", b"x")
        await self.in_time("file")
        await self.ask("delete", "file")

    async def test_a_long_deletion_delays_no_other_operation(self) -> None:
        self.make_folder("many")
        for number in range(MANY_FILES):
            os.close(os.open(self.path(f"many/{number}"), os.O_CREAT | os.O_WRONLY))
        deleting = asyncio.create_task(self.ask("delete", "many", recursive=True))
        await asyncio.sleep(0)
        await self.in_time()
        self.assertFalse(deleting.done())
        self.assertEqual(await deleting, {"size": 0, "files": MANY_FILES})

    async def test_a_reader_that_stops_delays_no_other_operation(self) -> None:
        await self.write("large", b"x" * LARGE_BYTES)
        pipe, packing = await self.begin_packing()
        for _ in range(3):
            await self.in_time("large")
        self.assertFalse(packing.done())
        self.assertGreater(len(await self.rest_of(pipe)), LARGE_BYTES)
        await packing

    async def test_packing_ends_when_its_caller_is_gone(self) -> None:
        await self.write("large", b"x" * LARGE_BYTES)
        pipe, packing = await self.begin_packing()
        await self.in_time()
        packing.cancel()
        await asyncio.wait([packing])
        # The helper has closed its end of the pipe, long before the end of the archive.
        self.assertLess(len(await self.rest_of(pipe)), LARGE_BYTES)
        await self.in_time()

    async def test_unpacking_that_is_aborted_halfway_leaves_the_old_file(
        self,
    ) -> None:
        await self.write("file", b"old")
        pipe, unpacking = await self.begin_unpacking()
        await pipe.write(memoryview(header_bytes(Header(b"file", FILE, 1_000)) + b"new"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(os.listdir(self.folder)) == 1:
                await self.in_time("file")
        self.assertFalse(unpacking.done())
        unpacking.cancel()
        await asyncio.wait([unpacking])
        await self.in_time()
        self.assertEqual(os.listdir(self.folder), ["file"])
        self.assertEqual(await self.read("file"), b"old")
        with self.assertRaises(BrokenPipeError):
            await pipe.write(memoryview(b"more"))

    async def test_each_of_many_orders_gets_its_own_answer(self) -> None:
        names = [f"file-{number}" for number in range(50)]
        for name in names:
            await self.write(name, name.encode())
        answers = await asyncio.gather(*(self.ask("stat", name) for name in names))
        self.assertEqual([answer["name"] for answer in answers], names)


if __name__ == "__main__":
    unittest.main()
