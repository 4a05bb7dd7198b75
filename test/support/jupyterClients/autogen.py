"""Speaks to a Jupyter server as AutoGen's JupyterCodeExecutor does (`autogen.coding.jupyter`), with its libraries.

The executor takes a host and a port, so its paths begin at the root. It sends its token in a header, even with the
WebSocket, names no session and no subprotocol, and sends `buffers` as an object.

Usage: autogen.py ADDRESS TOKEN
"""

import base64
import datetime
import json
import sys
import uuid
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket
from requests.adapters import HTTPAdapter, Retry
from traffic import Traffic

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()"
TABLE = "import pandas as pd\npd.DataFrame({'a': [1, 2]})"
BLOCKS = ["x = 6 * 7\nprint('set')", "x", FIGURE, TABLE]
TIMEOUT_SECONDS = 60


class Kernel:
    """A connection to a kernel."""

    def __init__(self, place: str, kernel_id: str, headers: dict[str, str], traffic: Traffic) -> None:
        self.socket = websocket.create_connection(f"ws://{place}/api/kernels/{kernel_id}/channels", header=headers)
        self.session_id = uuid.uuid4().hex
        self.traffic = traffic

    def send(self, message_type: str, content: dict[str, Any]) -> str:
        message_id = self.traffic.asked(uuid.uuid4().hex)
        header = {
            "username": "autogen",
            "version": "5.0",
            "session": self.session_id,
            "msg_id": message_id,
            "msg_type": message_type,
            "date": datetime.datetime.now().isoformat(),
        }
        rest = {"parent_header": {}, "channel": "shell", "content": content, "metadata": {}, "buffers": {}}
        self.socket.send_text(json.dumps({"header": header, **rest}))
        return message_id

    def answers(self, message_id: str, timeout: float | None):
        self.socket.settimeout(timeout)
        while True:
            message = self.traffic.take(self.socket.recv())
            if message.get("parent_header", {}).get("msg_id") == message_id:
                yield message

    def wait_for_ready(self) -> None:
        asked = self.send("kernel_info_request", {})
        next(each for each in self.answers(asked, None) if each["msg_type"] == "kernel_info_reply")

    def execute(self, code: str) -> dict[str, Any]:
        options = {"silent": False, "store_history": True, "user_expressions": {}}
        options |= {"allow_stdin": False, "stop_on_error": True}
        text, data = [], {}
        for message in self.answers(self.send("execute_request", {"code": code, **options}), TIMEOUT_SECONDS):
            kind, content = message["msg_type"], message["content"]
            if kind in ("execute_result", "display_data"):
                for mime_type, value in content["data"].items():
                    if mime_type == "text/plain":
                        text.append(value)
                    else:
                        data[mime_type] = value
            elif kind == "stream":
                text.append(content["text"])
            elif kind == "error":
                # The executor stops reading here. It reads the remaining messages before the answers of the next block.
                return {"error": f"{content['ename']}: {content['evalue']}", "traceback": bool(content["traceback"])}
            elif kind == "status" and content["execution_state"] == "idle":
                return {"text": text, "data": {name: seen(name, value) for name, value in data.items()}}
        raise AssertionError

    def called_with(self, code: str) -> dict[str, Any]:
        """Calls the executor with one block."""
        self.wait_for_ready()
        return self.execute(code)


def seen(mime_type: str, value: str) -> str:
    """The part of a value that a test can compare."""
    if mime_type == "image/png":
        return base64.b64decode(value, validate=True)[:8].hex()
    return value if len(value) < 40 else value.split()[0]


def main(address: str, token: str) -> None:
    place = urlsplit(address).netloc
    api = f"http://{place}/api"
    headers = {"Authorization": f"token {token}"}
    traffic = Traffic()
    client = requests.Session()
    client.mount("http://", HTTPAdapter(max_retries=Retry(total=5, backoff_factor=0.1)))

    specs = client.get(f"{api}/kernelspecs", headers=headers).json()
    kernel_id = client.post(f"{api}/kernels", headers=headers, json={"name": "python3"}).json()["id"]
    is_listed = kernel_id in [each["id"] for each in client.get(f"{api}/kernels", headers=headers).json()]
    kernel = Kernel(place, kernel_id, headers, traffic)
    kernel.wait_for_ready()
    blocks = [kernel.execute(code) for code in BLOCKS]
    failed = kernel.called_with("1 / 0")
    after = kernel.called_with("x + 1")

    client.post(f"{api}/kernels/{kernel_id}/restart", headers=headers).raise_for_status()
    fresh = Kernel(place, kernel_id, headers, traffic)
    after_restart = [fresh.called_with("x"), fresh.called_with("'fresh'")]
    client.delete(f"{api}/kernels/{kernel_id}", headers=headers).raise_for_status()
    for each in (kernel, fresh):
        each.socket.close()
    answers = {"blocks": blocks, "failed": failed, "after": after, "afterRestart": after_restart}
    facts = {"hasSpec": "python3" in specs["kernelspecs"], "isListed": is_listed}
    print(json.dumps({"answers": answers | facts, "traffic": traffic.report()}))


main(*sys.argv[1:])
