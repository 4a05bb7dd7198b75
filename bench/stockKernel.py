"""Times a stock ipykernel from within the worker image.

Each line on stdin is a JSON object. The answer is a line with three numbers: the milliseconds that the client measured;
the number of printed characters plus that of shown pictures; how often the code was run.

`{"code": ...}` runs the code once, from sending the request until both the reply and the kernel's `idle` have arrived.
`{"code": ..., "seconds": ...}` runs the code repeatedly for that long.
`{"restart": true}` restarts the kernel and waits until the next code has been answered.

This program ends when stdin ends.
"""

import json
import sys
import time
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT_S = 60.0
# By default another thread writes each cell to a database on the disk.
WITHOUT_HISTORY = "--HistoryManager.enabled=False"


def run(client: BlockingKernelClient, code: str) -> int:
    """Runs `code` to its end and returns how many characters it printed plus pictures it showed.

    Raises RuntimeError if it fails, queue.Empty if the kernel does not answer.
    """
    printed = 0
    msg_id = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=TIMEOUT_S)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            printed += len(content["text"])
        elif message["msg_type"] == "display_data":
            printed += "image/png" in content["data"]
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            break
    reply = reply_to(client, msg_id)
    if reply["status"] != "ok":
        raise RuntimeError(reply["evalue"])
    return printed


def reply_to(client: BlockingKernelClient, msg_id: str) -> dict[str, Any]:
    while True:
        reply: dict[str, Any] = client.get_shell_msg(timeout=TIMEOUT_S)
        if reply["parent_header"].get("msg_id") == msg_id:
            content: dict[str, Any] = reply["content"]
            return content


def obey(manager: KernelManager, client: BlockingKernelClient, order: dict[str, Any]) -> str:
    printed = runs = 0
    started_at = time.perf_counter()
    if "restart" in order:
        manager.restart_kernel(now=True)
        # Waits only for the reply, because a client that connects early may miss some output.
        reply_to(client, client.execute("1+1"))
    else:
        until = started_at + order.get("seconds", 0)
        while runs == 0 or time.perf_counter() < until:
            printed += run(client, order["code"])
            runs += 1
    return f"{(time.perf_counter() - started_at) * 1000} {printed} {runs}"


def main() -> None:
    # Over Unix sockets, which cost less than TCP.
    manager = KernelManager(kernel_name="python3", transport="ipc")
    manager.start_kernel(extra_arguments=[WITHOUT_HISTORY])
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT_S)
        print("ready", flush=True)
        for line in sys.stdin:
            print(obey(manager, client, json.loads(line)), flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
