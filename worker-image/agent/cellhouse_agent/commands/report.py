"""How a command ended, as its reply reports it."""

from __future__ import annotations

import signal
from typing import NamedTuple

from cellhouse_agent.commands.command import Command, NotBegun
from cellhouse_agent.reply import made_reply
from cellhouse_agent.wire import JsonObject


class Ended(NamedTuple):
    """One of `exit_code` and `signal` is set, unless the code has not run or nobody knows how it ended."""

    reply: JsonObject
    finished_at: float
    exit_code: int | None = None
    signal: str | None = None
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None


def not_begun(error: NotBegun | OSError, finished_at: float) -> Ended:
    """The code has not run."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    reply = made_reply("CommandNotStarted", reason or "unknown")
    return Ended(reply, finished_at, cpu_ms=0, peak_memory_bytes=0)


def ended_command(command: Command, finished_at: float, was_oom: bool, peak_bytes: int) -> Ended:
    """The end of a command that has no process left; `was_oom`: it was killed because memory ran out.

    `peak_bytes` is the most memory in any sample, 0 if there was none.
    """
    try:
        cpu_ms, largest_bytes = command.used()
    except NotBegun as error:
        return not_begun(error, finished_at)
    code = command.exit_code
    if code is None:
        lost = made_reply("CommandLost", "The worker lost sight of the command, and ended it")
        return Ended(lost, finished_at)
    reply: JsonObject = {"status": "ok", "execution_count": None}
    if was_oom:
        reply = made_reply("OutOfMemory", "The memory limit was reached; the command was killed")
    peak_memory_bytes = max(largest_bytes or 0, peak_bytes) or None
    exit_code, name = (code, None) if code >= 0 else (None, signal_name(-code))
    return Ended(reply, finished_at, exit_code, name, cpu_ms, peak_memory_bytes)


def signal_name(number: int) -> str:
    """Such as SIGKILL; SIG and the number if it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
