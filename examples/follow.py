"""Follows an execution to its end, whatever happens to connection or gateway: `python3 examples/follow.py ID`."""

import asyncio
import json
import os
import sys

import websockets

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874").replace("http", "ws", 1) + "/graphql"
TOKEN = os.environ.get("CELLHOUSE_TOKEN") or open(".cellhouse/auth-token").read().strip()
PROTOCOLS = ["graphql-transport-ws"]
INIT = {"type": "connection_init", "payload": {"X-Auth-Token": TOKEN}}
QUERY = """subscription ($id: ID!, $after: Int!) { output(executionId: $id, after: $after) {
  seq ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }"""


async def follow(execution: str, after: int) -> int | None:
    """Prints the output after a seq. Returns the last seq, or None if the execution has ended."""
    try:
        async with websockets.connect(URL, subprotocols=PROTOCOLS, max_size=None) as ws:
            await ws.send(json.dumps(INIT))
            await ws.recv()
            operation = {"query": QUERY, "variables": {"id": execution, "after": after}}
            await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": operation}))
            async for text in ws:
                message = json.loads(text)
                payload = message.get("payload")
                if message["type"] == "error" or (payload and "errors" in payload):
                    sys.exit(f"Refused: {payload}")
                if message["type"] == "next":
                    event = payload["data"]["output"]
                    after = event["seq"]
                    print(event.get("text", ""), end="", flush=True)
                    if "execution" in event:
                        print(event["execution"]["status"])
                        return None
    except (OSError, websockets.exceptions.WebSocketException) as problem:
        close = getattr(problem, "rcvd", None)
        if close and close.code >= 4000:  # trying again would fail, too (4403: a wrong token)
            raise
    return after


async def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    after: int | None = 0
    while after is not None:
        after = await follow(sys.argv[1], after)
        if after is not None:
            await asyncio.sleep(0.5)


asyncio.run(main())
