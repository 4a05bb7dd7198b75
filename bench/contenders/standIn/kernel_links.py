"""How the stand-in's worker talks to its kernel: over a Jupyter server's WebSocket, or directly with jupyter_client.

Both return what the predecessor returned: the joined text of all streams and results, or the last picture.
"""

import asyncio
import json
import sys
from typing import Any, Protocol
from uuid import uuid4

import httpx
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager, start_new_async_kernel
from websockets.asyncio.client import ClientConnection, connect, unix_connect

START_TIMEOUT_S = 60.0
POLL_S = 0.1
PORT = 8888
SOCKET = "/tmp/jupyter.sock"
# Larger than any answer in the benches.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class CodeError(Exception):
    """The code failed. The message is for the caller."""


class Collected:
    """The output of one execution so far."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._png: str | None = None

    def take(self, message: dict[str, Any]) -> bool:
        """Takes in a message and returns whether the execution is over. Raises CodeError if the code failed."""
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self._texts.append(content["text"])
        elif kind == "execute_result":
            self._texts.append(content["data"].get("text/plain", ""))
        elif kind == "display_data":
            self._png = content["data"].get("image/png", self._png)
        elif kind == "error":
            raise CodeError(f"{content['ename']}: {content['evalue']}")
        return bool(kind == "status" and content["execution_state"] == "idle")

    def answer(self) -> dict[str, str | None]:
        text = None if self._png is not None else "".join(self._texts)
        return {"result_text": text, "result_base64": self._png}


class KernelLink(Protocol):
    """A connection to one kernel. It carries one execution at a time."""

    async def start(self) -> None: ...

    async def is_healthy(self) -> bool: ...

    async def execute(self, code: str) -> dict[str, str | None]: ...


class JupyterServerLink:
    """Uses a Jupyter server beside this process, as the predecessor did, over TCP or over a Unix socket."""

    def __init__(self, over_tcp: bool) -> None:
        self._over_tcp = over_tcp
        self._socket: ClientConnection | None = None

    async def start(self) -> None:
        address = f"--ServerApp.port={PORT}" if self._over_tcp else f"--ServerApp.sock={SOCKET}"
        await asyncio.create_subprocess_exec(
            "jupyter-server",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.root_dir=/tmp",
            "--ServerApp.log_level=WARN",
            "--ServerApp.disable_check_xsrf=True",
            "--IdentityProvider.token=",
            "--ZMQChannelsWebsocketConnection.limit_rate=False",
            address,
            stdout=sys.stderr,
        )
        path = f"/api/kernels/{await self._create_kernel()}/channels"
        if self._over_tcp:
            uri = f"ws://127.0.0.1:{PORT}{path}"
            self._socket = await connect(uri, max_size=MAX_MESSAGE_BYTES)
        else:
            uri = f"ws://localhost{path}"
            self._socket = await unix_connect(SOCKET, uri, max_size=MAX_MESSAGE_BYTES)

    async def _create_kernel(self) -> str:
        transport = None if self._over_tcp else httpx.AsyncHTTPTransport(uds=SOCKET)
        async with httpx.AsyncClient(transport=transport, timeout=START_TIMEOUT_S) as client:
            async with asyncio.timeout(START_TIMEOUT_S):
                while True:
                    try:
                        url = f"http://127.0.0.1:{PORT}/api/kernels"
                        answer = await client.post(url, json={"name": "python3"})
                    except httpx.RequestError:
                        await asyncio.sleep(POLL_S)
                        continue
                    answer.raise_for_status()
                    return str(answer.json()["id"])

    async def is_healthy(self) -> bool:
        if self._socket is None:
            return False
        await asyncio.wait_for(await self._socket.ping(), timeout=START_TIMEOUT_S)
        return True

    async def execute(self, code: str) -> dict[str, str | None]:
        # The predecessor asked for a pong before each execution.
        if self._socket is None or not await self.is_healthy():
            raise RuntimeError("There is no kernel.")
        msg_id = uuid4().hex
        await self._socket.send(json.dumps(execute_request(code, msg_id)))
        collected = Collected()
        while True:
            message = json.loads(await self._socket.recv())
            if message["parent_header"].get("msg_id") == msg_id and collected.take(message):
                return collected.answer()


def execute_request(code: str, msg_id: str) -> dict[str, Any]:
    header = {
        "msg_id": msg_id,
        "username": "bench",
        "session": uuid4().hex,
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": {**content, "user_expressions": {}},
        "buffers": [],
        "channel": "shell",
    }


class JupyterClientLink:
    """Talks to the kernel directly with jupyter_client, which saves two hops of the predecessor."""

    def __init__(self) -> None:
        self._manager: AsyncKernelManager | None = None
        self._client: AsyncKernelClient | None = None

    async def start(self) -> None:
        self._manager, self._client = await start_new_async_kernel(
            startup_timeout=START_TIMEOUT_S, kernel_name="python3"
        )

    async def is_healthy(self) -> bool:
        return self._client is not None

    async def execute(self, code: str) -> dict[str, str | None]:
        if self._client is None:
            raise RuntimeError("There is no kernel.")
        msg_id = self._client.execute(code, store_history=False, allow_stdin=False)
        collected = Collected()
        try:
            while True:
                message = await self._client.get_iopub_msg()
                if message["parent_header"].get("msg_id") == msg_id and collected.take(message):
                    return collected.answer()
        finally:
            # Otherwise unread replies would fill the queue.
            while (await self._client.get_shell_msg())["parent_header"].get("msg_id") != msg_id:
                pass
