"""Variables stay from one call to the next. An exception in the code is part of the answer."""

import json
import os
import sys
from urllib.request import Request, urlopen

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874") + "/graphql"
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": os.environ["CELLHOUSE_TOKEN"]}
EXECUTE = """mutation ($code: String!) {
  execute(input: { userUuid: "ann", code: $code }) { resultText error { name value } } }"""

for code in ("import pandas as pd; s = pd.Series([10, 14, 9, 11])", "int(s.sum())", "1 / 0"):
    body = json.dumps({"query": EXECUTE, "variables": {"code": code}}).encode()
    with urlopen(Request(URL, body, HEADERS)) as reply:
        answer = json.load(reply)
    if "errors" in answer:
        sys.exit(answer["errors"][0]["message"])
    print(answer["data"]["execute"])
