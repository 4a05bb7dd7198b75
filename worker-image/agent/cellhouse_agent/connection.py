"""Where a kernel listens, and the key that its messages are signed with.

The endpoints are Unix sockets in the abstract namespace of the container's own network: quicker than TCP, and no file
that user code could fill up, delete or leave behind for the next kernel.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cellhouse_agent.wire import JsonObject

SHELL_PORT = 1
IOPUB_PORT = 2


@dataclass(frozen=True)
class Connection:
    """The address and key of one kernel."""

    name: str
    key: str

    def endpoint(self, port: int) -> str:
        """The ZeroMQ address of a port, as Jupyter makes it for the transport "ipc"."""
        return f"ipc://{self.name}-{port}"

    def to_jupyter(self) -> JsonObject:
        """Jupyter's connection object."""
        return {
            "transport": "ipc",
            "ip": self.name,
            "key": self.key,
            "signature_scheme": "hmac-sha256",
            "shell_port": SHELL_PORT,
            "iopub_port": IOPUB_PORT,
            "stdin_port": 3,
            "control_port": 4,
            "hb_port": 5,
        }


def new_connection() -> Connection:
    """A connection that nobody can guess, and that no earlier kernel had."""
    return Connection(name=f"@kernel-{secrets.token_hex(8)}", key=secrets.token_hex(32))
