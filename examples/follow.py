"""Shows output as it comes. If the connection breaks or the gateway restarts, it goes on after the last event it has."""

import asyncio
import json
import os
import urllib.request

import websockets

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874")
TOKEN = os.environ.get("CELLHOUSE_TOKEN") or open(".cellhouse/auth-token").read().strip()

SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }'
OUTPUT = """subscription ($id: ID!, $after: Int!) { output(executionId: $id, after: $after) {
  seq ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }"""
CODE = "import time\nfor i in range(10):\n    print('line', i)\n    time.sleep(0.3)\n"


def graphql(query, variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "X-Auth-Token": TOKEN}
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/graphql", body, headers)) as response:
        return json.load(response)["data"]


async def events(execution, after):
    """The events after a seq, until the connection breaks (then it raises) or the execution has ended."""
    address = URL.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(address, subprotocols=["graphql-transport-ws"]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"X-Auth-Token": TOKEN}}))
        await socket.recv()
        payload = {"query": OUTPUT, "variables": {"id": execution, "after": after}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "next":
                yield message["payload"]["data"]["output"]
            elif message["type"] == "complete":
                return


async def follow(execution):
    after = 0
    while True:
        try:
            async for event in events(execution, after):
                after = event["seq"]
                yield event
            return
        except (OSError, websockets.exceptions.WebSocketException):
            await asyncio.sleep(0.5)


async def main():
    execution = graphql(SUBMIT, {"input": {"userUuid": "follow", "code": CODE}})["submit"]["id"]
    async for event in follow(execution):
        print(event.get("text", ""), end="", flush=True)
        if "execution" in event:
            print(event["execution"]["status"])


asyncio.run(main())
