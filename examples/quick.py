"""Variables stay from one call to the next. An exception in the code is part of the answer."""

import json
import os
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874") + "/graphql"
TOKEN = os.environ.get("CELLHOUSE_TOKEN", "")
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": TOKEN}
EXECUTE = """mutation ($code: String!) {
  execute(input: { userUuid: "ann", code: $code }) { status resultText error { name value } } }"""

for code in ("import pandas as pd; s = pd.Series([10, 14, 9, 11])", "int(s.sum())", "1 / 0"):
    body = json.dumps({"query": EXECUTE, "variables": {"code": code}}).encode()
    try:
        answer = json.load(urlopen(Request(URL, body, HEADERS)))
    except HTTPError as refusal:
        answer = json.load(refusal)
    if "errors" in answer:
        raise SystemExit(answer["errors"][0]["message"])
    print(answer["data"]["execute"])
