"""Calls the predecessor's API as its users did, with one of their libraries, and prints the answers as JSON lines.

Usage: predecessorCaller.py requests|httpx URL TOKEN
"""

import base64
import importlib
import json
import sys
import time
from typing import Any

PLOT = """
import matplotlib.pyplot as plt
plt.plot([1, 2, 3])
plt.show()
"""
WORKER_LIMIT_SECONDS = 50
STEPS = [
    "a = 10\nb = 20",
    "import sys\nprint('x')\nprint('y', file=sys.stderr)\na * b",
    PLOT,
    "1 / 0",
    "while True: pass",
    "a",
]


def main(library: str, url: str, token: str) -> None:
    client = importlib.import_module(library)
    headers = {"X-Auth-Token": token}
    user = f"caller-{library}"

    def call(path: str, body: Any, sent: Any) -> Any:
        return client.post(f"{url}{path}", json=body, headers=sent, timeout=60)

    def until_idle() -> None:
        # On a busy machine, a worker may take longer to start than a call waits for one.
        deadline = time.monotonic() + WORKER_LIMIT_SECONDS
        while time.monotonic() < deadline:
            if client.get(f"{url}/status", headers=headers).json()["idle_workers_in_pool"] > 0:
                return
            time.sleep(0.1)

    until_idle()
    for code in STEPS:
        answer = call("/execute", {"user_uuid": user, "code": code}, headers)
        body = answer.json()
        png = body.get("result_base64")
        if png:
            body["result_base64"] = base64.b64decode(png, validate=True)[:8].hex()
        print(json.dumps([answer.status_code, body]))
    for path, body, sent in [
        ("/release", {"user_uuid": user}, headers),
        ("/execute", {"user_uuid": user, "code": "a"}, headers),
        ("/execute", {"user_uuid": user}, headers),
        ("/execute", {"user_uuid": user, "code": "1"}, {}),
        ("/execute", {"user_uuid": user, "code": "1"}, {"X-Auth-Token": "wrong"}),
        ("/release", {"user_uuid": user}, headers),
    ]:
        answer = call(path, body, sent)
        if path == "/release":
            until_idle()
        print(json.dumps([answer.status_code, answer.json()]))
    answer = client.get(f"{url}/status", headers=headers)
    print(json.dumps([answer.status_code, sorted(answer.json())]))


main(*sys.argv[1:])
