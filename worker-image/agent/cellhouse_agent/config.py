"""The settings that the gateway passes to the container (worker-protocol.md, "Container environment")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOCKET_PATH = "/run/cellhouse/socket/agent.sock"


class ConfigError(Exception):
    """The environment is unusable; the message names each variable that is wrong."""


@dataclass(frozen=True)
class Config:
    """The agent's settings. Times in milliseconds, sizes in bytes."""

    orphan_timeout_ms: int
    replay_buffer_bytes: int
    max_message_bytes: int
    cpus: int
    # Whether code can reach the network, through the gateway.
    has_egress: bool
    # The package index for pip, if there is egress. If it is empty, pip uses its default.
    pip_index_url: str


def read_config(environment: Mapping[str, str]) -> Config:
    """Read all settings; raises a ConfigError that lists every problem at once."""
    problems: list[str] = []

    def number(name: str, default: int) -> int:
        text = environment.get(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**53:
            problems.append(f"{name} is not a positive whole number")
            return default
        return int(text)

    config = Config(
        orphan_timeout_ms=number("CELLHOUSE_ORPHAN_TIMEOUT_MS", 900_000),
        replay_buffer_bytes=number("CELLHOUSE_REPLAY_BUFFER_BYTES", 33_554_432),
        max_message_bytes=number("CELLHOUSE_MAX_MESSAGE_BYTES", 16_777_216),
        cpus=number("CELLHOUSE_CPUS", 1),
        has_egress=environment.get("CELLHOUSE_EGRESS", "") == "on",
        pip_index_url=environment.get("PIP_INDEX_URL", ""),
    )
    if problems:
        raise ConfigError("; ".join(problems))
    return config
