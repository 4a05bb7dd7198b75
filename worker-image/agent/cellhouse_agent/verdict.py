"""How an execution ended: its outcome, its reply, and whether its kernel must be replaced."""

from __future__ import annotations

from dataclasses import dataclass

from cellhouse_agent.reply import made_reply
from cellhouse_agent.wire import JsonObject


@dataclass(frozen=True)
class Verdict:
    """`restart_reason` is set when a fresh kernel must take over; `exit_code` is that of a dead kernel."""

    outcome: str
    reply: JsonObject
    restart_reason: str | None = None
    exit_code: int | None = None


def died(exit_code: int | None, was_oom: bool, is_timeout: bool) -> Verdict:
    """The kernel's process has ended; `was_oom`: it was killed because memory ran out."""
    if was_oom:
        reply = made_reply("OutOfMemory", "The memory limit was reached; the kernel was killed")
    else:
        reply = made_reply("KernelDied", f"The kernel ended{_how(exit_code)}")
    outcome = "timeout" if is_timeout else "out_of_memory" if was_oom else "kernel_died"
    return Verdict(outcome, reply, "oom" if was_oom else "died", exit_code)


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    return f" by signal {-exit_code}" if exit_code < 0 else f" with code {exit_code}"


def cut_off(is_timeout: bool) -> Verdict:
    """The kernel's process closed its link to the agent, or executed another program."""
    reply = made_reply(
        "KernelDied", "The kernel cut itself off: it closed its files or became another program"
    )
    return Verdict("timeout" if is_timeout else "kernel_died", reply, "died")


def restarted(is_timeout: bool) -> Verdict:
    """Someone asked for a fresh kernel."""
    reply = made_reply("KernelReplaced", "The kernel was restarted")
    return Verdict("timeout" if is_timeout else "interrupted", reply, "user")


def went_on() -> Verdict:
    """The code ignored the interrupt at its time limit, and its grace time is over."""
    reply = made_reply("KernelReplaced", "The code went on after its time limit")
    return Verdict("timeout", reply, "timeout")


def never_taken_up(is_interrupted: bool) -> Verdict:
    """The kernel was still busy with a leftover of an earlier execution when the time of this execution was over."""
    reply = made_reply("KernelReplaced", "The kernel did not take up the code")
    outcome = "interrupted" if is_interrupted else "timeout"
    return Verdict(outcome, reply, "timeout")


def without_reply(outcome: str) -> Verdict:
    """The kernel is free again but never replied: an interrupt hit the kernel itself, or the code tampered with it."""
    ename = "KernelError" if outcome == "finished" else "KeyboardInterrupt"
    return Verdict(outcome, made_reply(ename, "The kernel gave no reply"))
