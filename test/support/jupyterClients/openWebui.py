"""Speaks to a Jupyter server as Open WebUI's code interpreter does, with its libraries.

Each piece of code has a kernel of its own, started by a request without a body, and deleted afterwards. The token is in
the query, the dates of messages are empty, and the WebSocket of the client accepts at most 1 MiB in one message.

Usage: openWebui.py ADDRESS TOKEN
"""

import asyncio
import json
import re
import sys
import uuid
from typing import Any

import aiohttp
import websockets
from traffic import Traffic

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()"
PRINTS = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7"
TIMEOUT_SECONDS = 60


async def run(address: str, token: str, code: str, traffic: Traffic) -> dict[str, Any]:
    """Runs code in a kernel of its own."""
    params = {"token": token}
    async with aiohttp.ClientSession(trust_env=True, base_url=f"{address}/") as client:
        async with client.post(url="api/kernels", params=params) as response:
            response.raise_for_status()
            kernel_id = (await response.json())["id"]
        url = f"{address.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels?token={token}"
        async with websockets.connect(url, additional_headers={}) as socket:
            told = await execute(socket, code, traffic)
        async with client.delete(f"api/kernels/{kernel_id}", params=params) as response:
            response.raise_for_status()
    return told


async def execute(socket: Any, code: str, traffic: Traffic) -> dict[str, Any]:
    msg_id = traffic.asked(uuid.uuid4().hex)
    header = {"msg_id": msg_id, "msg_type": "execute_request", "username": "user", "session": uuid.uuid4().hex}
    header |= {"date": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    content |= {"allow_stdin": False, "stop_on_error": True}
    rest = {"parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.send(json.dumps({"header": header, **rest}))
    texts = {"stdout": "", "stderr": ""}
    results = []
    while True:
        message = traffic.take(await asyncio.wait_for(socket.recv(), TIMEOUT_SECONDS))
        if message.get("parent_header", {}).get("msg_id") != msg_id:
            continue
        kind, content = message.get("msg_type"), message["content"]
        if kind == "stream":
            texts[content["name"]] += content["text"]
        elif kind in ("execute_result", "display_data"):
            data = content["data"]
            if "image/png" in data:
                results.append(f"data:image/png;base64,{data['image/png']}"[:32])
            elif "text/plain" in data:
                results.append(data["text/plain"])
        elif kind == "error":
            texts["stderr"] += re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"])).splitlines()[-1]
        elif kind == "status" and content["execution_state"] == "idle":
            return {name: text.strip() for name, text in texts.items()} | {"result": "\n".join(results)}


async def main(address: str, token: str) -> None:
    traffic = Traffic()
    answers = [await run(address, token, code, traffic) for code in (PRINTS, FIGURE, "1 / 0")]
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{address}/api/kernels", params={"token": token}) as response:
            left = await response.json()
    print(json.dumps({"answers": {"codes": answers, "left": left}, "traffic": traffic.report()}))


asyncio.run(main(*sys.argv[1:]))
