"""`GET /egress`: a gateway dials a stream, which is parked until code needs a connection (egress.py)."""

from __future__ import annotations

from typing import Any

from cellhouse_agent.detached import detached_socket
from cellhouse_agent.egress.egress import Egress
from cellhouse_agent.gateway_gate import GatewayGate
from cellhouse_agent.http_api import ApiHandler
from cellhouse_agent.requests import MAX_EPOCH, query_number
from cellhouse_agent.services import Services
from cellhouse_agent.wire import MalformedMessage

PROTOCOL = "cellhouse-egress"
ACCEPTED = (
    f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\r\n"
).encode("ascii")


class EgressHandler(ApiHandler):
    """Checks the epoch, and parks the connection."""

    def initialize(self, egress: Egress, gate: GatewayGate) -> None:
        """Take the agent's parts."""
        self.egress = egress
        self.gate = gate

    def get(self) -> None:
        """Park the connection, or refuse before the upgrade."""
        epoch = self.get_query_argument("epoch", "") or ""
        self.gate.admit(query_number(epoch, "epoch", MAX_EPOCH))
        if self.request.headers.get("Upgrade", "").lower() != PROTOCOL:
            raise MalformedMessage(f"Upgrade must be {PROTOCOL}")
        self.egress.require_room()
        stream = detached_socket(self)
        try:
            # Nothing was sent over this socket yet, so its buffer has room.
            stream.send(ACCEPTED)
        except OSError:
            stream.close()
        else:
            self.egress.park(stream)


def egress_routes(services: Services) -> list[tuple[str, type[EgressHandler], dict[str, Any]]]:
    """The route of the handler. Without egress there is no route, so the path is unknown."""
    if not services.egress:
        return []
    return [("/egress", EgressHandler, {"egress": services.egress, "gate": services.gate})]
