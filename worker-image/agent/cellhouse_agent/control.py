"""The agent's ends of the sockets that lead to its other processes (SOCK_SEQPACKET)."""

from __future__ import annotations

import socket

# Far more than the longest packet of a reaper, fork server or spawner.
MAX_PACKET_BYTES = 4_096


def receive(control: socket.socket) -> bytes | None:
    """The next packet; None if none has arrived yet, b"" at the end of the connection. `control` does not block."""
    try:
        return control.recv(MAX_PACKET_BYTES)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""
