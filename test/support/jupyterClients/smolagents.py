"""Speaks to a Jupyter server as the DockerExecutor of smolagents does, with its libraries.

It sends its token in the query, starts a kernel by a request without a body, and opens a WebSocket for each piece of
code. Its messages have no date and no channel. The final answer of an agent is the value of an exception.

Usage: smolagents.py ADDRESS TOKEN
"""

import json
import re
import sys
import uuid
from contextlib import closing
from typing import Any

import requests
from traffic import Traffic
from websocket import create_connection

FINAL_ANSWER = """
class FinalAnswerException(BaseException):
    def __init__(self, value):
        self.value = value

def final_answer(answer):
    import json
    raise FinalAnswerException("safe:" + json.dumps(answer))
"""
VARIABLES = "import json\nvars_dict = json.loads('{\"rows\": [1, 2, 3]}')\nlocals().update(vars_dict)"
ACTIONS = ["print('sum'); total = sum(rows)", "total", "rows[7]", "final_answer({'total': total})"]


def run(code: str, url: str, traffic: Traffic) -> dict[str, Any]:
    """Runs code over a connection of its own."""
    with closing(create_connection(url)) as socket:
        msg_id = str(uuid.uuid4())
        header = {"msg_id": msg_id, "username": "anonymous", "session": str(uuid.uuid4())}
        header |= {"msg_type": "execute_request", "version": "5.0"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        socket.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content}))
        traffic.asked(msg_id)
        logs, told = [], {}
        while True:
            message = traffic.take(socket.recv())
            if message.get("parent_header", {}).get("msg_id") != msg_id:
                continue
            kind, content = message.get("msg_type", ""), message.get("content", {})
            if kind == "stream":
                logs.append(content["text"])
            elif kind == "execute_result":
                told["output"] = content["data"].get("text/plain")
            elif kind == "error" and content.get("ename") == "FinalAnswerException":
                told["finalAnswer"] = json.loads(content["evalue"].removeprefix("safe:"))
            elif kind == "error":
                # Here the executor raises, which closes the connection. The test reads on to see the end.
                lines = "\n".join(content.get("traceback", [])).splitlines()
                told["error"] = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1])
            elif kind == "status" and content["execution_state"] == "idle":
                return told | {"logs": "".join(logs)}


def main(address: str, token: str) -> None:
    traffic = Traffic()
    is_ready = requests.get(f"{address}/api/kernelspecs?token={token}", timeout=2).status_code == 200
    created = requests.post(f"{address}/api/kernels?token={token}", headers=None)
    kernel_id = created.json()["id"]
    url = f"{address.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels?token={token}"
    for code in (FINAL_ANSWER, VARIABLES):
        run(code, url, traffic)
    actions = [run(code, url, traffic) for code in ACTIONS]
    # The executor then removes the container of the server. Here the server stays.
    ended = requests.delete(f"{address}/api/kernels/{kernel_id}?token={token}").status_code
    answers = {"isReady": is_ready, "created": created.status_code, "actions": actions, "ended": ended}
    print(json.dumps({"answers": answers, "traffic": traffic.report()}))


main(*sys.argv[1:])
