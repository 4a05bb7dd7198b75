"""Code for one user, with nothing but the standard library. Give it a file name to keep the chart in."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874")
TOKEN = os.environ.get("CELLHOUSE_TOKEN") or open(".cellhouse/auth-token").read().strip()
USER = "python"

EXECUTE = """mutation ($input: ExecuteInput!) {
  execute(input: $input) { status stdout resultText resultBase64 error { name value } }
}"""
RELEASE = "mutation ($input: ReleaseInput!) { release(input: $input) { released } }"

CHART = """
import math
import matplotlib.pyplot as plt
plt.plot([math.sin(x / 10) for x in range(100)])
plt.title("正弦波")
plt.show()
"""


def graphql(query: str, variables: dict[str, Any]) -> Any:
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
    return answer["data"]


def execute(code: str, **options: Any) -> Any:
    return graphql(EXECUTE, {"input": {"userUuid": USER, "code": code, **options}})["execute"]


execute("a = 10")
print(execute("print(a * 20)")["stdout"], end="")

# What goes wrong in the code is data; only what goes wrong with the call is an error.
failed = execute("print('before')\nb")
print(failed["status"], failed["error"]["value"], "after", repr(failed["stdout"]))

chart = base64.b64decode(execute(CHART, timeoutMs=60_000)["resultBase64"])
print("a chart:", chart[1:4].decode())
if len(sys.argv) > 1:
    with open(sys.argv[1], "wb") as file:
        file.write(chart)

graphql(RELEASE, {"input": {"userUuid": USER}})
