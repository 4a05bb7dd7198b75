"""Measures connections and transfers: as code in a session, or as a program that reads one order a line."""

from __future__ import annotations

import http.client
import json
import sys
import time

HOST = "127.0.0.1"
# Where code in a session finds the proxy for egress.
PROXY_PORT = 3128
BLOCK_BYTES = 1 << 20


def measure(way: str, port: int, path: str, send_bytes: int = 0) -> dict[str, float]:
    """Make one request on a new connection, and read the whole answer.

    Ways: direct; get (the proxy is asked for the URL); connect (a tunnel through the proxy).
    """
    body = bytes(send_bytes) if send_bytes else None
    began = time.perf_counter()
    connection = http.client.HTTPConnection(HOST, port if way == "direct" else PROXY_PORT)
    if way == "connect":
        connection.set_tunnel(HOST, port)
    url = f"http://{HOST}:{port}{path}" if way == "get" else path
    connection.request("PUT" if body else "GET", url, body)
    answer = connection.getresponse()
    received = 0
    while data := answer.read(BLOCK_BYTES):
        received += len(data)
    took = time.perf_counter() - began
    connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{way} was answered with {answer.status}")
    return {"seconds": took, "received": received}


if sys.argv[1:] == ["direct"]:
    for line in sys.stdin:
        print(json.dumps(measure("direct", *json.loads(line))), flush=True)
