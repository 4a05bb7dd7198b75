"""Variables live from one call to the next, and what goes wrong in the code is data."""
import json, os
from urllib.request import Request, urlopen

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874") + "/graphql"
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": os.environ["CELLHOUSE_TOKEN"]}
EXECUTE = """mutation ($code: String!) {
  execute(input: { userUuid: "ann", code: $code }) { resultText error { name value } } }"""

def execute(code):
    body = json.dumps({"query": EXECUTE, "variables": {"code": code}}).encode()
    return json.load(urlopen(Request(URL, body, HEADERS)))["data"]["execute"]

execute("import pandas as pd; sales = pd.Series([10, 14, 9, 11])")
print(execute("int(sales.sum())")["resultText"], execute("1 / 0")["error"])
