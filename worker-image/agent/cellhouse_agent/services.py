"""The parts of the agent that the handlers of requests need."""

from __future__ import annotations

from dataclasses import dataclass

from cellhouse_agent.egress import Egress
from cellhouse_agent.executions.executor import Executor
from cellhouse_agent.files.helper import FilesHelper
from cellhouse_agent.gateway.frames import ReplayBuffer
from cellhouse_agent.gateway.gate import GatewayGate
from cellhouse_agent.usage.container import Usage


@dataclass(frozen=True)
class Services:
    """The agent's parts, wired by app.py."""

    boot_id: str
    executor: Executor
    buffer: ReplayBuffer
    gate: GatewayGate
    usage: Usage
    files: FilesHelper
    # None: there is no egress.
    egress: Egress | None = None
