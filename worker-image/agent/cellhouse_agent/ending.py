"""How an execution ended, as its reply reports it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cellhouse_agent.execution import Execution
from cellhouse_agent.frames import NO_PARENT, FrameWriter
from cellhouse_agent.supervision import Supervision
from cellhouse_agent.verdict import Verdict
from cellhouse_agent.wire import JsonObject


@dataclass(frozen=True)
class Ending:
    """The end of an execution, all but what it changed in the home."""

    execution: Execution
    verdict: Verdict
    report: JsonObject

    def write(self, files: JsonObject | None) -> None:
        """Write the last frames; `files` is what it changed, None if nobody looks."""
        report = self.report if files is None else {**self.report, "files": files}
        self.execution.write_end(self.verdict.reply, report)


def end_execution(
    running: Supervision, verdict: Verdict, is_other_kernel: bool, writer: FrameWriter
) -> Ending:
    """End it, with its kernel if that must be replaced. `is_other_kernel`: it was accepted for an earlier one."""
    execution = running.execution
    running.has_ended = True
    finished_at = time.time() * 1000
    if verdict.restart_reason:
        running.kernel.halt()
    execution.start()
    if verdict.restart_reason:
        writer.status("restarting", NO_PARENT, verdict.restart_reason)
    cpu_ms, peak_memory_bytes = running.sampler.stop()
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


def unstarted_report(is_other_kernel: bool) -> JsonObject:
    """The report on a request that was interrupted before it began."""
    return {
        "outcome": "interrupted",
        "state_lost": is_other_kernel,
        "started_at": None,
        "finished_at": time.time() * 1000,
        "cpu_ms": 0,
        "peak_memory_bytes": 0,
        "output_bytes": 0,
        "dropped_bytes": 0,
        "exit_code": None,
    }
