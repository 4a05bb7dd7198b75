"""The states of the user's processes, for tests: run as root, or as the agent, in the worker image."""

import time

from cellhouse_agent.processes.table import STATE_FIELD, stat_fields
from cellhouse_agent.processes.user_processes import user_processes

from tests.with_executor import PATIENCE_SECONDS


def wait_until_idle() -> None:
    """Block this process, and thus the agent that runs in it, until each process of the user sleeps or is stopped.

    There must be such a process.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not (states := [_state(pid) for pid in user_processes()]) or {*states} - {"S", "T"}:
        assert time.monotonic() < end, states
        time.sleep(0.001)


def _state(pid: int) -> str:
    return stat_fields(str(pid))[STATE_FIELD]
