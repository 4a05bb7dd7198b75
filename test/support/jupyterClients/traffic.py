"""Checks every message from a server with Jupyter's own libraries.

`jupyter_client` takes a message apart as it does with messages of kernels, and reads its dates. The schemas of
`jupyter_kernel_test` check its content. `nbformat` checks that outputs fit into a notebook.
"""

import json
from collections import defaultdict
from datetime import datetime
from typing import Any

import nbformat
from jsonschema import Draft4Validator
from jupyter_client.session import Session
from jupyter_kernel_test import msgspec_v5

PARTS = ("header", "parent_header", "metadata", "content")
OUTPUTS = {"stream", "display_data", "execute_result", "error"}
# The states of a kernel that the server itself reports. The schemas do not have them, because no kernel sends them.
SERVER_STATES = ["restarting", "dead", "terminating", "autorestarting", "unknown"]

_fragments = msgspec_v5.schema_fragments
_fragments["status"]["properties"]["execution_state"]["enum"] += SERVER_STATES
# By the protocol, this is a boolean, and every kernel sends a boolean. The schema is wrong.
_fragments["input_request"]["properties"]["password"] = {"type": "boolean"}
_fragments["comm_close"] = {"properties": {"comm_id": {"type": "string"}, "data": {"type": "object"}}}
# The schemas have `abort` where the protocol and every kernel have `aborted`.
_aborted = Draft4Validator(
    {
        "properties": {"status": {"enum": ["aborted"]}, "execution_count": {"type": "number"}},
        "required": ["status"],
    }
)


class Traffic:
    """All messages that came from a server, by the request that they answer."""

    def __init__(self) -> None:
        self._session = Session(key=b"")
        self._by_parent: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._asked: set[str] = set()
        self.types: set[str] = set()
        self.faults: list[str] = []
        # For each request whose messages on iopub do not lie between busy and idle: its states. A stock kernel has such
        # requests around aborted and interrupted cells, so tests demand only of the door that there are none.
        self.misordered: list[list[str]] = []

    def asked(self, msg_id: str) -> str:
        """Notes the id of a request, so that `report` checks the answers to it. Returns the id."""
        self._asked.add(msg_id)
        return msg_id

    def take(self, frame: str | bytes) -> dict[str, Any]:
        """Checks a message in JSON, as it comes without a subprotocol. Returns it as its client reads it."""
        message = json.loads(frame)
        for name in ("msg_id", "msg_type"):
            if message.get(name) != message["header"].get(name):
                self.faults.append(f"{name} at the top is not that of the header")
        self.check([json.dumps(message[part]).encode() for part in PARTS], message["channel"])
        return message

    def check(self, parts: list[bytes], channel: str) -> dict[str, Any]:
        """Checks a message whose parts are as they cross the wire of a kernel."""
        message = self._session.deserialize([b"", *parts], content=True)
        kind = message["header"].get("msg_type", "?")
        self.types.add(kind)
        try:
            self._check_fields(message, kind, channel)
        except Exception as error:
            self.faults.append(f"{kind}: {type(error).__name__}: {error}")
        self._by_parent[message["parent_header"].get("msg_id", "")].append(message | {"channel": channel})
        return message

    def _check_fields(self, message: dict[str, Any], kind: str, channel: str) -> None:
        if not isinstance(message["header"]["date"], datetime):
            raise ValueError("the date is no date")
        if message["content"].get("status") == "aborted":
            _aborted.validate(message["content"])
            msgspec_v5.msg_structure_validator.validate(message)
        else:
            msgspec_v5.validate_message(message)
        if kind in OUTPUTS:
            output = nbformat.v4.output_from_msg(message)
            cell = nbformat.v4.new_code_cell(outputs=[output])
            nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))
        # A kernel sends its shutdown reply also on iopub, to all clients.
        is_reply = kind.endswith("_reply") and not (kind == "shutdown_reply" and channel == "iopub")
        expected = ("shell", "control") if is_reply else ("stdin",) if kind == "input_request" else ("iopub",)
        if channel not in expected:
            raise ValueError(f"came on {channel}")

    def report(self) -> dict[str, Any]:
        """The types of all messages, and what is wrong with them. Call it when all messages have come."""
        for msg_id in self._asked:
            self._check_answers(msg_id)
        return {"types": sorted(self.types), "faults": self.faults, "misordered": self.misordered}

    def _check_answers(self, msg_id: str) -> None:
        """Checks that messages on iopub lie between the states busy and idle, and that there is at most one reply."""
        messages = self._by_parent[msg_id]
        states = [
            each["content"]["execution_state"] if each["header"]["msg_type"] == "status" else "other"
            for each in messages
            if each["channel"] == "iopub"
        ]
        inner = [state for state in states[1:-1] if state != "other"]
        if states[:1] != ["busy"] or states[-1:] != ["idle"] or inner:
            self.misordered.append(states)
        replies = [each for each in messages if each["header"]["msg_type"].endswith("_reply")]
        if len(replies) > 1:
            self.faults.append(f"{len(replies)} replies to one request")
