"""A base for tests that send requests as a gateway does."""

import asyncio
import json
from typing import Any

EPOCH = 7


class Socket:
    """A gateway without a channel."""

    path: str

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Make one request on a connection of its own; returns the status and JSON of the answer."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        head = f"{method} {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        first, _, rest = answer.partition(b"\r\n")
        return int(first.split()[1]), json.loads(rest.partition(b"\r\n\r\n")[2])

    async def call(self, name: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Make a POST with the epoch of this gateway, unless the fields give another."""
        return await self.ask("POST", f"/{name}", json.dumps({"epoch": EPOCH, **fields}).encode())
