"""Egress (worker-protocol.md, "Egress"): a listener for code, and the streams that a gateway has dialled."""
