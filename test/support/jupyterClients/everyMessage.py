"""Sends every kind of request that a kernel answers, made by `jupyter_client`, and prints the answers.

With the subprotocol `v1`, Jupyter Server's own functions put messages into frames and take them out.

Usage: everyMessage.py ADDRESS TOKEN v1|plain
"""

import json
import re
import sys
from typing import Any

import requests
import websocket
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from traffic import Traffic

V1 = "v1.kernel.websocket.jupyter.org"
TIMEOUT_SECONDS = 60
SHOWN = """
from IPython.display import HTML, clear_output, display
shown = display(HTML('<b>1</b>'), display_id='one')
shown.update(HTML('<b>2</b>'))
clear_output(wait=True)
print('é😀')
"""
ASKS = "from getpass import getpass\nprint(input('name? '), getpass('word? '))"
LOOP = "import time\nprint('begun')\nwhile True: time.sleep(0.01)"
# The fields of replies that are the same for every kernel.
KEPT = {"status", "restart", "found", "history", "comms", "ename", "evalue", "indent", "cursor_start", "cursor_end"}
KEPT |= {"execution_count", "protocol_version", "implementation"}


class Channels:
    """A connection to a kernel."""

    def __init__(self, address: str, token: str, kernel_id: str, protocol: str) -> None:
        self.session = Session(username="tester")
        self.traffic = Traffic()
        url = f"{address.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels"
        self.socket = websocket.create_connection(
            f"{url}?session_id={self.session.session}",
            header={"Authorization": f"token {token}"},
            subprotocols=[V1] if protocol == "v1" else None,
            timeout=TIMEOUT_SECONDS,
        )
        self.is_v1 = self.socket.getsubprotocol() == V1

    def send(self, kind: str, content: dict[str, Any], channel: str = "shell", parent: Any = None) -> str:
        message = self.session.msg(kind, content, parent)
        if self.is_v1:
            parts = self.session.serialize(message)[-4:]
            self.socket.send_binary(serialize_msg_to_ws_v1(parts, channel))
        else:
            self.socket.send_text(json.dumps(message | {"channel": channel}, default=json_default))
        return message["header"]["msg_id"]

    def next(self) -> dict[str, Any]:
        frame = self.socket.recv()
        if not self.is_v1:
            return self.traffic.take(frame)
        channel, parts = deserialize_msg_from_ws_v1(frame)
        return self.traffic.check(parts, channel) | {"channel": channel}

    def answers(self, *asked: str) -> dict[str, dict[str, Any]]:
        """The answers to these requests. Reads until each request has its reply and its idle status."""
        found = {self.traffic.asked(msg_id): {"iopub": [], "reply": None} for msg_id in asked}
        idle = set()
        while len(idle) < len(asked) or any(each["reply"] is None for each in found.values()):
            message = self.next()
            told = found.get(message["parent_header"].get("msg_id", ""))
            kind, content = message["header"]["msg_type"], message["content"]
            if told is None:
                continue
            if kind == "input_request":
                told.setdefault("asked", []).append([content["prompt"], content["password"]])
                self.send("input_reply", {"value": content["prompt"][:4]}, "stdin", message["header"])
            elif message["channel"] != "iopub":
                told["reply"] = kept(kind, content)
            elif kind != "status":
                append(told["iopub"], brief(kind, content))
            elif content["execution_state"] == "idle":
                idle.add(message["parent_header"]["msg_id"])
        return found

    def ask(self, kind: str, content: dict[str, Any], channel: str = "shell") -> dict[str, Any]:
        return self.answers(asked := self.send(kind, content, channel))[asked]

    def run(self, code: str, **options: Any) -> dict[str, Any]:
        return self.ask("execute_request", cell(code, **options))

    def stopped(self) -> list[Any]:
        """Sends two cells while a cell runs that then fails."""
        first = self.send("execute_request", cell("import time; time.sleep(0.5); 1 / 0"))
        others = [self.send("execute_request", cell(code)) for code in ("2", "3")]
        answers = list(self.answers(first, *others).values())
        # A stock kernel may also abort a cell that arrives right after the reply of a failed cell. So this comes next.
        self.ask("kernel_info_request", {})
        return answers

    def interrupted(self) -> list[Any]:
        """Sends a cell without an end, and the request that interrupts it."""
        running = self.send("execute_request", cell(LOOP))
        while (message := self.next())["header"]["msg_type"] != "stream":
            pass
        interrupt = self.send("interrupt_request", {}, "control")
        assert message["parent_header"]["msg_id"] == running
        return list(self.answers(running, interrupt).values())

    def comm(self) -> list[Any]:
        """Opens a comm with an unknown target, which the kernel closes. The message gets no reply."""
        asked = self.traffic.asked(self.send("comm_open", {"comm_id": "c", "target_name": "none", "data": {}}))
        seen = []
        while seen[-1:] != ["idle"]:
            message = self.next()
            is_ours = message["parent_header"].get("msg_id") == asked
            # A stock kernel also prints the reason.
            if is_ours and message["header"]["msg_type"] != "stream":
                seen.append(message["content"].get("execution_state", message["header"]["msg_type"]))
        return seen

    def shut_down(self) -> dict[str, Any]:
        """Restarts the kernel. Does not wait for idle: the reply may be the last message of the kernel."""
        asked = self.send("shutdown_request", {"restart": True}, "control")
        while True:
            message = self.next()
            if message["parent_header"].get("msg_id") == asked and message["channel"] == "control":
                return kept(message["header"]["msg_type"], message["content"])


def append(told: list[Any], message: list[Any]) -> None:
    """Joins text of one stream: a stock kernel may send a line and its end as two messages."""
    last = told[-1] if told else None
    if last and last[0] == message[0] == "stream" and last[1]["name"] == message[1]["name"]:
        last[1]["text"] += message[1]["text"]
    else:
        told.append(message)


def cell(code: str, **options: Any) -> dict[str, Any]:
    defaults = {"silent": False, "store_history": True, "user_expressions": {}}
    return {"code": code, **defaults, "allow_stdin": True, "stop_on_error": True, **options}


def brief(kind: str, content: dict[str, Any]) -> list[Any]:
    """The part of a cell's message that is the same for every kernel."""
    if kind in ("execute_input", "stream", "clear_output"):
        return [kind, content]
    if kind == "error":
        return [kind, content["ename"], nameless(content["evalue"]), bool(content["traceback"])]
    if kind == "execute_result":
        return [kind, content["data"], content["execution_count"]]
    return [kind, content["data"], content.get("transient", {})]


def nameless(error: str) -> str:
    """The error with a fixed name for the cell's file, because kernels name that file differently."""
    return re.sub(r"\w+\.py", "cell.py", error)


def kept(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in content.items() if name in KEPT}
    if "evalue" in told:
        told["evalue"] = nameless(told["evalue"])
    if kind == "complete_reply":
        told["matches"] = [each for each in content["matches"] if "quantity" in each]
    if kind == "inspect_reply":
        told["text"] = re.sub(r"\x1b\[[0-9;]*m", "", content["data"].get("text/plain", ""))[:30]
    if kind == "kernel_info_reply":
        language = content["language_info"]
        told["language"] = {name: language[name] for name in ("name", "version", "file_extension", "mimetype")}
    for name, value in content.get("user_expressions", {}).items():
        told[name] = value.get("data", value.get("ename"))
    return told


def main(address: str, token: str, protocol: str) -> None:
    headers = {"Authorization": f"token {token}"}
    kernel_id = requests.post(f"{address}/api/kernels", headers=headers, json={"name": "python3"}).json()["id"]
    kernel = Channels(address, token, kernel_id, protocol)
    answers = {
        "info": kernel.ask("kernel_info_request", {}),
        "comms": kernel.ask("comm_info_request", {}),
        "first": kernel.run("quantity = 42; print('out'); quantity"),
        "shown": kernel.run(SHOWN),
        "input": kernel.run(ASKS),
        "silent": kernel.run("print('seen')", silent=True, store_history=False),
        "unnumbered": kernel.run("quantity += 1; quantity", store_history=False),
        "expressions": kernel.run("pass", user_expressions={"good": "quantity", "bad": "never"}),
        # Otherwise a stock kernel might abort the next cell, which arrives right after the reply.
        "error": kernel.run("{}['key']", stop_on_error=False),
        "syntax": kernel.run("a b"),
        "complete": kernel.ask("complete_request", {"code": "quant", "cursor_pos": 5}),
        "inspect": kernel.ask("inspect_request", {"code": "len", "cursor_pos": 3, "detail_level": 0}),
        "unknown": kernel.ask("inspect_request", {"code": "never", "cursor_pos": 5, "detail_level": 1}),
        "whole": [kernel.ask("is_complete_request", {"code": code}) for code in ("a = 1", "for a in b:", "a b")],
        "history": kernel.ask(
            "history_request",
            {"hist_access_type": "range", "session": 0, "start": 1, "stop": 2, "raw": True, "output": False},
        ),
        "stopped": kernel.stopped(),
        "interrupted": kernel.interrupted(),
        "comm": kernel.comm(),
        "after": kernel.run("quantity"),
        "restarted": kernel.shut_down(),
    }
    requests.delete(f"{address}/api/kernels/{kernel_id}", headers=headers).raise_for_status()
    kernel.socket.close()
    report = kernel.traffic.report() | {"isV1": kernel.is_v1}
    print(json.dumps({"answers": answers, "traffic": report}))


main(*sys.argv[1:])
