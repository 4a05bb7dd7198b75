"""Puts a table into a session, sums it up, gets an .xlsx file: `python3 examples/files.py [IN.csv [OUT.xlsx]]`."""

import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPResponse
from typing import Any, BinaryIO

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874")
TOKEN = os.environ.get("CELLHOUSE_TOKEN") or open(".cellhouse/auth-token").read().strip()
USER = "python"

EXECUTE = """mutation ($input: ExecuteInput!) {
  execute(input: $input) { stdout error { name value } }
}"""
FILES = "query ($userUuid: String!) { files(userUuid: $userUuid) { edges { node { path type size } } } }"
RELEASE = "mutation ($input: ReleaseInput!) { release(input: $input) { released } }"

CODE = """
import pandas as pd
table = pd.read_csv("table.csv")
table.describe().to_excel("summary.xlsx")
print(len(table), "rows")
"""


def call(method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
    """An answer that can be read like a file. Neither a file that is sent nor the answer is held in memory."""
    request = urllib.request.Request(
        URL + path, body, {"X-Auth-Token": TOKEN, **headers}, method=method
    )
    try:
        answer: HTTPResponse = urllib.request.urlopen(request)
        return answer
    except urllib.error.HTTPError as refusal:
        raise RuntimeError(f"{method} {path}: {refusal.read().decode()}") from None


def graphql(query: str, variables: dict[str, Any]) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    answer = json.load(call("POST", "/graphql", body, **{"Content-Type": "application/json"}))
    if "errors" in answer:
        raise RuntimeError("\n".join(error["message"] for error in answer["errors"]))
    return answer["data"]


def path_of(path: str) -> str:
    """A file of the session. The path is relative to the home."""
    return f"/files/{USER}/{urllib.parse.quote(path)}"


def upload(file: BinaryIO, path: str) -> None:
    size = os.fstat(file.fileno()).st_size
    call("PUT", path_of(path), file, **{"Content-Length": str(size)})


def download(path: str, local: str) -> None:
    with call("GET", path_of(path)) as answer, open(local, "wb") as file:
        shutil.copyfileobj(answer, file)


with tempfile.TemporaryFile() as sample:
    sample.write(b"tea,cake\n3,4\n5,2\n4,6\n")
    sample.seek(0)
    upload(open(sys.argv[1], "rb") if len(sys.argv) > 1 else sample, "table.csv")

ran = graphql(EXECUTE, {"input": {"userUuid": USER, "code": CODE, "timeoutMs": 60_000}})["execute"]
if ran["error"]:
    raise RuntimeError(f"{ran['error']['name']}: {ran['error']['value']}")
print(ran["stdout"], end="")
for edge in graphql(FILES, {"userUuid": USER})["files"]["edges"]:
    if edge["node"]["type"] == "FILE":
        print(edge["node"]["path"], edge["node"]["size"], "bytes")
target = sys.argv[2] if len(sys.argv) > 2 else "summary.xlsx"
download("summary.xlsx", target)
print("written:", target)

graphql(RELEASE, {"input": {"userUuid": USER}})
