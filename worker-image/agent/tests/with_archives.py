"""Shared parts of the tests of archives. They run as root in the worker image."""

import asyncio
import os
import stat

from cellhouse_agent.files.handlers import Pipe
from cellhouse_agent.files.helper import Answered, FileRefused
from cellhouse_files.archives.tar_header import BLOCK_BYTES, FILE, Header, header_bytes, padding
from cellhouse_files.paths import MAX_NAME_BYTES
from cellhouse_kernel.privileges import KERNEL_UID
from tests.with_files import PATIENCE_SECONDS, WithFiles

END = bytes(2 * BLOCK_BYTES)
LONGEST_NAME = "n" * MAX_NAME_BYTES
NOT_UTF8 = b"bad-\xff"

type Begun = asyncio.Task[Answered]


def is_file(path: str) -> bool:
    """Whether `path` is a regular file, and not a link to a file."""
    return stat.S_ISREG(os.lstat(path).st_mode)


def member(name: bytes, content: bytes = b"", kind: bytes = FILE) -> bytes:
    """One member of an archive."""
    return header_bytes(Header(name, kind, len(content))) + content + padding(len(content))


class WithArchives(WithFiles):
    """Packs and unpacks folders as the agent does."""

    async def begin_packing(self, name: str = "", format: str = "tar") -> tuple[Pipe, Begun]:
        """Begin to make a folder's archive, which can be read from the pipe."""
        pipe = Pipe()
        self.addCleanup(pipe.close)
        fields = {"path": self.path(name), "format": format}
        packing = asyncio.create_task(self.helper.stream("read_archive", fields, pipe.writing))
        # The order, with its end of the pipe, must be sent before this process closes that end.
        await asyncio.sleep(0)
        pipe.close(pipe.writing)
        return pipe, packing

    async def begin_unpacking(self, name: str = "") -> tuple[Pipe, Begun]:
        """Begin to unpack the archive that is written into the pipe."""
        pipe = Pipe()
        self.addCleanup(pipe.close)
        order = self.helper.stream("write_archive", {"path": self.path(name)}, pipe.reading)
        unpacking = asyncio.create_task(order)
        await asyncio.sleep(0)
        pipe.close(pipe.reading)
        return pipe, unpacking

    async def rest_of(self, pipe: Pipe) -> bytes:
        """The bytes that still come out of a pipe."""
        pieces = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while piece := await pipe.read():
                pieces.append(piece)
        return b"".join(pieces)

    async def pack(self, name: str, format: str = "tar") -> bytes:
        """The archive of a folder."""
        pipe, packing = await self.begin_packing(name, format)
        packed = await self.rest_of(pipe)
        await packing
        return packed

    async def unpack(self, archive: bytes, name: str = "in", copies: int = 1) -> dict[str, int]:
        """Unpack this many copies of an archive, one after the other; returns the fields of the answer."""
        pipe, unpacking = await self.begin_unpacking(name)
        self.taken = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                for _ in range(copies):
                    await pipe.write(memoryview(archive))
                    self.taken += len(archive)
            except BrokenPipeError:
                # The helper has refused the archive.
                pass
            pipe.close(pipe.writing)
            return (await unpacking).fields

    async def unpacking_is_refused(self, archive: bytes, code: str = "bad_archive") -> None:
        """Assert that this archive is refused."""
        with self.assertRaises(FileRefused) as caught:
            await self.unpack(archive)
        self.assertEqual(caught.exception.code, code)

    def found(self, name: str = "in") -> dict[str, bytes | None]:
        """The content of each file below a folder; None for each folder."""
        found: dict[str, bytes | None] = {}
        for above, folders, files in os.walk(self.path(name)):
            inner = os.path.relpath(above, self.path(name))
            found.update({os.path.normpath(f"{inner}/{folder}"): None for folder in folders})
            for file in filter(lambda name: is_file(f"{above}/{name}"), files):
                with open(f"{above}/{file}", "rb") as opened:
                    found[os.path.normpath(f"{inner}/{file}")] = opened.read()
        return found

    def make_tree(self) -> None:
        """Make a folder with names of all kinds."""
        deep = "/".join(["d" * 60] * 5)
        os.makedirs(self.path(f"tree/{deep}"))
        os.makedirs(self.path("tree/empty"))
        for name in ("plain", LONGEST_NAME, 'new\nline "ä"', f"{deep}/{LONGEST_NAME}"):
            with open(self.path(f"tree/{name}"), "wb") as file:
                file.write(name.encode() * 100)
        with open(os.fsencode(self.path("tree/")) + NOT_UTF8, "wb"):
            pass
        os.utime(self.path("tree/plain"), (1_000_000_000, 1_000_000_000))
        os.chmod(self.path("tree/plain"), 0o640)
        os.chown(self.path("tree/plain"), KERNEL_UID, KERNEL_UID)
