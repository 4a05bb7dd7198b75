"""How an execution ended, as its reply reports it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cellhouse_agent.execution import Execution
from cellhouse_agent.record import Record
from cellhouse_agent.reply import made_reply
from cellhouse_agent.supervision import Supervision
from cellhouse_agent.verdict import Verdict
from cellhouse_agent.wire import JsonObject


@dataclass(frozen=True)
class Ending:
    """The end of an execution, except for what it changed in the home."""

    execution: Execution
    verdict: Verdict
    report: JsonObject

    def write(self, files: JsonObject | None) -> None:
        """Write the last frames; `files` is what it changed, None if the home is not watched."""
        report = self.report if files is None else {**self.report, "files": files}
        self.execution.write_end(self.verdict.reply, report)


def end_execution(
    running: Supervision,
    verdict: Verdict,
    is_other_kernel: bool,
    tell_replaced: Callable[[str], None],
) -> Ending:
    """End the execution, and its kernel if that must be replaced.

    `is_other_kernel`: the request was accepted for an earlier kernel.
    """
    execution = running.execution
    running.has_ended = True
    finished_at = time.time() * 1000
    if verdict.restart_reason:
        running.kernel.halt()
    execution.start()
    if verdict.restart_reason:
        tell_replaced(verdict.restart_reason)
    cpu_ms, peak_memory_bytes = running.sampler.stop(verdict.restart_reason == "oom")
    report: JsonObject = {
        "outcome": verdict.outcome,
        "state_lost": verdict.restart_reason is not None or is_other_kernel,
        "started_at": execution.started_at,
        "finished_at": max(finished_at, execution.started_at or 0),
        "cpu_ms": cpu_ms,
        "peak_memory_bytes": peak_memory_bytes,
        "output_bytes": execution.output_bytes,
        "dropped_bytes": execution.dropped_bytes,
        "exit_code": verdict.exit_code,
    }
    return Ending(execution, verdict, report)


class Unstarted(NamedTuple):
    """The end of a request that never began."""

    outcome: str
    ename: str
    evalue: str

    def end(self, execution: Record, is_other_kernel: bool) -> None:
        """Write the frames of the request: only the last ones.

        `is_other_kernel`: the request was accepted for an earlier kernel.
        """
        report: JsonObject = {
            "outcome": self.outcome,
            "state_lost": is_other_kernel,
            "started_at": None,
            "finished_at": time.time() * 1000,
            "cpu_ms": 0,
            "peak_memory_bytes": 0,
            "output_bytes": 0,
            "dropped_bytes": 0,
            "exit_code": None,
        }
        execution.write_end(made_reply(self.ename, self.evalue), report)


INTERRUPTED = Unstarted("interrupted", "KeyboardInterrupt", "Interrupted while queued")
NO_KERNEL = Unstarted(
    "kernel_died",
    "KernelUnavailable",
    "No kernel could be started: the limit of processes or of memory is reached",
)
