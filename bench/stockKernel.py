"""Times a stock ipykernel from within the worker image.

For each line on stdin it runs that line as code and answers with the milliseconds of the round trip, as a client of the
kernel sees it: from sending the request until the reply and the kernel's `idle` have both come; and with the number of
characters that were printed meanwhile. For the line `%restart` it restarts the kernel, and answers with the
milliseconds until the next code was answered. Ends with its stdin.
"""

import sys
import time

from jupyter_client.manager import start_new_kernel

TIMEOUT_S = 60.0


def run(client, code):
    """Runs `code` to its end; returns how many characters it printed.

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
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            break
    while True:
        reply = client.get_shell_msg(timeout=TIMEOUT_S)
        if reply["parent_header"].get("msg_id") == msg_id:
            break
    if reply["content"]["status"] != "ok":
        raise RuntimeError(reply["content"]["evalue"])
    return printed


def wait_for_answer(client):
    """Returns when the kernel has replied to code. Without its output, of which a client that comes early misses some."""
    msg_id = client.execute("1+1")
    while client.get_shell_msg(timeout=TIMEOUT_S)["parent_header"].get("msg_id") != msg_id:
        pass


def main():
    manager, client = start_new_kernel(startup_timeout=TIMEOUT_S, kernel_name="python3")
    try:
        print("ready", flush=True)
        for line in sys.stdin:
            printed = 0
            started_at = time.perf_counter()
            if line == "%restart\n":
                manager.restart_kernel(now=True)
                wait_for_answer(client)
            else:
                printed = run(client, line.rstrip("\n"))
            print((time.perf_counter() - started_at) * 1000, printed, flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
