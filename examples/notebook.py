"""Runs a notebook: `python3 examples/notebook.py in.ipynb out.ipynb [--keep-going]`.

Writes it with the outputs of its cells (nbformat 4). Stops at the first cell that fails, unless told to keep going;
ends with 1 if one failed. Each run has a session of its own.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from typing import Any

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874")
TOKEN = os.environ.get("CELLHOUSE_TOKEN") or open(".cellhouse/auth-token").read().strip()
CELL_TIMEOUT_MS = 300_000

Json = dict[str, Any]

EXECUTE = """mutation ($input: ExecuteInput!) { execute(input: $input) {
  status executionCount error { name value traceback }
  outputs {
    __typename
    ... on StreamOutput { name text }
    ... on RichOutput { kind data metadata displayId executionCount }
    ... on ErrorOutput { error { name value traceback } }
    ... on ClearOutput { wait }
    ... on GapOutput { reason }
  }
} }"""
RELEASE = "mutation ($input: ReleaseInput!) { release(input: $input) { released } }"


def graphql(query: str, variables: Json) -> Json:
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "X-Auth-Token": TOKEN}
    request = urllib.request.Request(f"{URL}/graphql", body, headers)
    try:
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as refusal:
        answer = json.load(refusal)
    if "errors" in answer:
        raise RuntimeError("\n".join(error["message"] for error in answer["errors"]))
    data: Json = answer["data"]
    return data


def stream(name: str, text: str) -> Json:
    return {"output_type": "stream", "name": name, "text": text}


def failure(error: Json) -> Json:
    name, value, traceback = error["name"], error["value"], error["traceback"]
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": traceback}


class Outputs:
    """The outputs of the cells, as a notebook keeps them. `shown`: every display that has an id, of whatever cell."""

    def __init__(self, shown: dict[str, list[Json]]) -> None:
        self.items: list[Json] = []
        self.shown = shown
        self.is_clear_due = False

    def add(self, output: Json) -> None:
        if self.is_clear_due:
            self.items.clear()
            self.is_clear_due = False
        last = self.items[-1] if self.items else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            self.items.append(output)

    def take(self, event: Json) -> None:
        match event["__typename"]:
            case "StreamOutput":
                self.add(stream(event["name"].lower(), event["text"]))
            case "RichOutput":
                self.take_rich(event)
            case "ErrorOutput":
                self.add(failure(event["error"]))
            case "ClearOutput" if event["wait"]:
                self.is_clear_due = True
            case "ClearOutput":
                self.items.clear()
            case "GapOutput":
                self.add(stream("stderr", f"[output is missing here: {event['reason']}]\n"))

    def take_rich(self, event: Json) -> None:
        content = {"data": event["data"], "metadata": event["metadata"]}
        if event["kind"] == "UPDATE":
            for output in self.shown.get(event["displayId"], []):
                output.update(content)
            return
        output = {"output_type": "display_data", **content}
        if event["kind"] == "RESULT":
            output["output_type"] = "execute_result"
            output["execution_count"] = event["executionCount"]
        if event["displayId"]:
            self.shown.setdefault(event["displayId"], []).append(output)
        self.add(output)


def run_cell(cell: Json, user: str, shown: dict[str, list[Json]]) -> bool:
    """Fills in the cell. Whether it went well."""
    request = {"userUuid": user, "code": "".join(cell["source"]), "timeoutMs": CELL_TIMEOUT_MS}
    result = graphql(EXECUTE, {"input": request})["execute"]
    outputs = Outputs(shown)
    for event in result["outputs"]:
        outputs.take(event)
    is_ok: bool = result["status"] == "OK"
    if not is_ok and not any(output["output_type"] == "error" for output in outputs.items):
        error = result["error"] or {"name": result["status"], "value": "", "traceback": []}
        outputs.add(failure(error))
    cell["execution_count"] = result["executionCount"]
    cell["outputs"] = outputs.items
    return is_ok


def run(notebook: Json, user: str, is_keeping_going: bool) -> bool:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        cell["execution_count"] = None
        cell["outputs"] = []
    shown: dict[str, list[Json]] = {}
    is_ok = True
    for cell in cells:
        if "".join(cell["source"]).strip() and not run_cell(cell, user, shown):
            is_ok = False
            if not is_keeping_going:
                break
    return is_ok


parser = argparse.ArgumentParser(description="Runs a notebook in a session of its own.")
parser.add_argument("source")
parser.add_argument("target")
parser.add_argument("--keep-going", action="store_true", help="go on after a cell that fails")
options = parser.parse_args()
with open(options.source, encoding="utf-8") as file:
    opened = json.load(file)
session = str(uuid.uuid4())
try:
    went_well = run(opened, session, options.keep_going)
finally:
    graphql(RELEASE, {"input": {"userUuid": session}})
with open(options.target, "w", encoding="utf-8") as file:
    json.dump(opened, file, indent=1)
    file.write("\n")
sys.exit(0 if went_well else 1)
