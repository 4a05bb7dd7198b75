"""A chat whose model runs code: what it asks for goes to Cellhouse, text and pictures go back, until it only talks.

The model here is a script of recorded answers. Put a real one behind `ask_model`; the messages have the form of
content blocks (`text`, `tool_use`, `tool_result`, `image`) that today's chat APIs take.
Give it a folder name to keep the pictures in.
"""

import base64
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request
import uuid
from typing import Any

URL = os.environ.get("CELLHOUSE_URL", "http://127.0.0.1:3874")
TOKEN = os.environ.get("CELLHOUSE_TOKEN") or open(".cellhouse/auth-token").read().strip()

Block = dict[str, Any]

# A model is told that it has this tool.
PYTHON_TOOL = {
    "name": "python",
    "description": "Runs Python. Variables and files live on between calls.",
    "input_schema": {"type": "object", "properties": {"code": {"type": "string"}}},
}
LOAD = "import pandas as pd\nsales = pd.Series({'Q1': 12, 'Q2': 17, 'Q3': 15})\nprint(sales.sum())"
PLOT = "import matplotlib.pyplot as plt\nsales.plot.bar(title='Sales')\nplt.show()"
RECORDED: list[list[Block]] = [
    [
        {"type": "text", "text": "I add the quarters up."},
        {"type": "tool_use", "id": "call_1", "name": "python", "input": {"code": LOAD}},
    ],
    [{"type": "tool_use", "id": "call_2", "name": "python", "input": {"code": "sales['Q4']"}}],
    [
        {"type": "text", "text": "There is no fourth quarter yet. Here are the three."},
        {"type": "tool_use", "id": "call_3", "name": "python", "input": {"code": PLOT}},
    ],
    [{"type": "text", "text": "44 in all, and the second quarter was the best."}],
]


def ask_model(messages: list[Block]) -> list[Block]:
    """The blocks of the model's next message. A real model would be sent `messages` and PYTHON_TOOL."""
    return RECORDED[sum(message["role"] == "assistant" for message in messages)]


def graphql(query: str, variables: Block) -> Block:
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
    data: Block = answer["data"]
    return data


EXECUTE = """mutation ($input: ExecuteInput!) {
  execute(input: $input) { status resultText resultBase64 stateLost error { name value } }
}"""
RELEASE = "mutation ($input: ReleaseInput!) { release(input: $input) { released } }"


def run_tool(call: Block, user: str) -> Block:
    """What the code of a call gave, as the model is told it. Its id is the key: a call sent again is not run again."""
    request = {"userUuid": user, "code": call["input"]["code"], "idempotencyKey": call["id"]}
    result = graphql(EXECUTE, {"input": request | {"timeoutMs": 60_000}})["execute"]
    text = result["resultText"] or ""
    if result["error"]:
        text += f"{result['error']['name']}: {result['error']['value']}"
    elif result["status"] != "OK":
        text += f"[{result['status']}]"
    if result["stateLost"]:
        text += "\n[The variables are gone: Python had to be started anew.]"
    content: list[Block] = []
    if text or not result["resultBase64"]:
        content.append({"type": "text", "text": text or "[no output]"})
    if result["resultBase64"]:
        source = {"type": "base64", "media_type": "image/png", "data": result["resultBase64"]}
        content.append({"type": "image", "source": source})
    answer = {"type": "tool_result", "tool_use_id": call["id"], "content": content}
    return answer | {"is_error": result["status"] != "OK"}


def show(block: Block, name: str = "") -> None:
    """On the terminal, for whoever watches. `name`: of the call that the block comes from."""
    if block["type"] == "text":
        print(block["text"].rstrip("\n"))
    elif block["type"] == "tool_use":
        print(">>> " + block["input"]["code"].replace("\n", "\n... "))
    elif block["type"] == "tool_result":
        for part in block["content"]:
            show(part, block["tool_use_id"])
    elif block["type"] == "image":
        print("[a picture]")
        if len(sys.argv) > 1:
            picture = base64.b64decode(block["source"]["data"])
            pathlib.Path(sys.argv[1], f"chat-{name}.png").write_bytes(picture)


def chat(question: str, user: str) -> None:
    messages: list[Block] = [{"role": "user", "content": [{"type": "text", "text": question}]}]
    while True:
        answer = ask_model(messages)
        messages.append({"role": "assistant", "content": answer})
        for block in answer:
            show(block)
        results = [run_tool(block, user) for block in answer if block["type"] == "tool_use"]
        if not results:
            return
        for block in results:
            show(block)
        messages.append({"role": "user", "content": results})


# One session for one conversation.
conversation = str(uuid.uuid4())
try:
    chat("How were the sales?", conversation)
finally:
    graphql(RELEASE, {"input": {"userUuid": conversation}})
