"""Runs a notebook: `python3 examples/notebook.py in.ipynb out.ipynb [--file data.csv ...] [--keep-going]`.

Writes it with the outputs of its cells (nbformat 4). Stops at the first cell that fails, unless told to keep going;
ends with 1 if one failed. Each run has a session of its own.

Files below the notebook's folder that its code names go along, and so does every `--file`. Files that the code made or
changed come back, into a folder beside the executed notebook (out_files for out.ipynb).
"""

import argparse
import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.client import HTTPResponse
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
FILES = """query ($userUuid: String!, $after: String) {
  files(userUuid: $userUuid, depth: 32, first: 1000, after: $after) {
    edges { node { path type etag url } } pageInfo { endCursor hasNextPage }
  }
}"""
RELEASE = "mutation ($input: ReleaseInput!) { release(input: $input) { released } }"


class Refused(RuntimeError):
    """The gateway refused the call. `code` says why, as docs/use/errors.md lists it."""

    def __init__(self, error: Json) -> None:
        super().__init__(error["message"])
        self.code = error.get("extensions", error).get("code")


def call(method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
    request = urllib.request.Request(
        URL + path, body, {"X-Auth-Token": TOKEN, **headers}, method=method
    )
    try:
        answer: HTTPResponse = urllib.request.urlopen(request)
        return answer
    except urllib.error.HTTPError as refusal:
        reason = json.load(refusal)
        raise Refused(reason["errors"][0] if "errors" in reason else reason) from None


def graphql(query: str, variables: Json) -> Json:
    body = json.dumps({"query": query, "variables": variables}).encode()
    with call("POST", "/graphql", body, **{"Content-Type": "application/json"}) as response:
        answer = json.load(response)
    if "errors" in answer:
        raise Refused(answer["errors"][0])
    data: Json = answer["data"]
    return data


def named_files(notebook: Json, folder: str) -> dict[str, str]:
    """The files below the folder that code names, in quotes or as a word: path in the session -> path here."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = "\n".join("".join(cell["source"]) for cell in cells)
    words = re.findall(r"""[^\s'"()\[\]{},;=]+""", code) + re.findall(
        r"""["']([^"'\n]+)["']""", code
    )
    paths = {os.path.normpath(word) for word in words if is_below(word)}
    here = {path: os.path.join(folder, path) for path in sorted(paths)}
    return {path: local for path, local in here.items() if os.path.isfile(local)}


def is_below(path: str) -> bool:
    """Whether a relative path stays below its folder, and neither it nor a folder above it is hidden."""
    return not os.path.isabs(path) and not any(
        part.startswith(".") and part != "." for part in path.split("/")
    )


def send_files(user: str, files: dict[str, str]) -> dict[str, str]:
    """Each path in the session, and the version that it has there."""
    versions = {}
    for path, local in files.items():
        with open(local, "rb") as file:
            size = str(os.fstat(file.fileno()).st_size)
            url = f"/files/{user}/{urllib.parse.quote(path)}"
            with call("PUT", url, file, **{"Content-Length": size}) as answer:
                versions[path] = answer.headers["ETag"]
    return versions


def fetch_files(user: str, sent: dict[str, str], folder: str) -> None:
    """Fetch what is new or has another version than what was sent. What is hidden, such as a cache, stays."""
    page: Json = {"endCursor": None, "hasNextPage": True}
    while page["hasNextPage"]:
        listing = graphql(FILES, {"userUuid": user, "after": page["endCursor"]})["files"]
        page = listing["pageInfo"]
        for found in (edge["node"] for edge in listing["edges"]):
            path = found["path"]
            if found["type"] != "FILE" or sent.get(path) == found["etag"] or not is_below(path):
                continue
            local = os.path.join(folder, path)
            os.makedirs(os.path.dirname(local), exist_ok=True)
            with call("GET", found["url"]) as answer, open(local, "wb") as file:
                shutil.copyfileobj(answer, file)
            print("made:", local)


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
parser.add_argument("--file", action="append", default=[], help="a file to take along")
parser.add_argument("--keep-going", action="store_true", help="go on after a cell that fails")
options = parser.parse_args()
with open(options.source, encoding="utf-8") as file:
    opened = json.load(file)
to_send = named_files(opened, os.path.dirname(options.source))
to_send |= {os.path.basename(path): path for path in options.file}
session = str(uuid.uuid4())
try:
    sent = send_files(session, to_send)
    went_well = run(opened, session, options.keep_going)
    with open(options.target, "w", encoding="utf-8") as file:
        json.dump(opened, file, indent=1)
        file.write("\n")
    fetch_files(session, sent, os.path.splitext(options.target)[0] + "_files")
except Refused as refusal:
    # There was no session, or it is lost with its files.
    if refusal.code != "NOT_FOUND":
        raise
finally:
    graphql(RELEASE, {"input": {"userUuid": session}})
sys.exit(0 if went_well else 1)
