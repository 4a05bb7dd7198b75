"""Watches one execution from the sending of its code to its end, and enforces its limits.

An execution ends in one of these ways, checked in this order whenever something has changed:

    done          the kernel is free again                  -> finished | timeout | interrupted, fresh kernel after quit
    died          the kernel's process has ended            -> kernel_died | out_of_memory | timeout, fresh kernel
    restart       someone asked for a fresh kernel          -> interrupted | timeout, fresh kernel
    stuck         the execution's time is over, and its code never began: a leftover of an earlier execution keeps the
                  kernel busy, and ignored SIGINT           -> timeout | interrupted, fresh kernel
    grace over    the code ignored SIGINT                   -> timeout, fresh kernel

The end of a context counts as a restart, but no fresh kernel follows.

When the execution's time is over, the code gets SIGINT, and the grace time begins. In the middle of the grace time, the
code gets another SIGINT, in case it swallowed the first.

A caller's interrupt sends one SIGINT. Code that ignores it runs on to its limit: an interrupt alone never replaces a
kernel. All of this happens in the agent, so limits hold even while no gateway is connected.

`Grace` counts the time that a kernel gets beyond the limit. Time without a CPU does not count, because a kernel can
then neither begin nor end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cellhouse_agent.executions.execution import Execution
from cellhouse_agent.executions.outputs import made_reply
from cellhouse_agent.json_values import JsonObject
from cellhouse_agent.kernel.kernel import Kernel
from cellhouse_agent.processes.grace import Grace, Sight
from cellhouse_agent.usage.meter import UsageSampler

# If the kernel has been silent for this long, no `busy` can be waiting behind other messages. So the kernel has not
# begun the code.
SILENCE_SECONDS = 0.1
# A free kernel begins code within a few milliseconds. A kernel that has not done so by the limit, which may be very
# short, gets this much longer before it counts as stuck. This is less than the 0.2 s by which an execution may outlast
# its limits (docs/internals/kernel.md, "Time").
TAKE_UP_SECONDS = 0.15
# The share of the grace time after which code that still runs is interrupted again: a bare `except` in a loop or a
# `__del__` may have swallowed the first SIGINT. Until then the code is left alone, since it may be cleaning up.
INTERRUPT_AGAIN_SHARE = 0.5


class Supervision:
    """One execution on its kernel. `changed` is set whenever `run` has something to check."""

    def __init__(
        self,
        kernel: Kernel,
        execution: Execution,
        sampler: UsageSampler,
        changed: asyncio.Event,
        must_restart: Callable[[], bool],
    ) -> None:
        self.execution = execution
        self.kernel = kernel
        # Whether `end_execution` (cell_run.py) was called.
        self.has_ended = False
        self.sampler = sampler
        self._changed = changed
        self._must_restart = must_restart
        self._loop = asyncio.get_running_loop()
        self._is_interrupted = False
        self._is_interrupt_due = False
        self._has_freed = False
        self._awaits_start = False
        self._heard_at = self._loop.time()
        # The time that an execution waits, before it begins, for a leftover to end.
        self._leftover: Grace | None = None
        # The time beyond the limit of an execution that has not begun.
        self._take_up: Grace | None = None
        # The time beyond the limit of an execution that has begun.
        self._grace: Grace | None = None
        self._is_interrupted_again = False

    def interrupt(self) -> None:
        """Interrupt the execution as soon as possible; it ends as `interrupted`."""
        self._is_interrupted = self._is_interrupt_due = True
        self._changed.set()

    def heard(self) -> None:
        """Note that the kernel has said something, for this execution or another."""
        self._heard_at = self._loop.time()

    @property
    def needs_look(self) -> bool:
        """Whether `run` must now act on the kernel's last message."""
        execution = self.execution
        has_begun = self._awaits_start and execution.started_at is not None
        return has_begun or execution.is_done or self._is_interrupt_due

    def verdict_of_messages(self) -> Verdict | None:
        """The verdict, if the messages alone show that the execution has ended and the kernel can run the next one."""
        execution = self.execution
        if self.has_ended or execution.wants_exit or not execution.is_done:
            return None
        return self._verdict()

    async def run(self) -> Verdict | None:
        """Wait for the execution's end; None if its messages have already ended it (`verdict_of_messages`)."""
        self.sampler.watch()
        while not self.has_ended:
            self._changed.clear()
            if verdict := self._verdict():
                return verdict
            look_at = self._act()
            self._awaits_start = self.execution.started_at is None
            await self._wait_for_change(look_at - self._loop.time())
        return None

    async def _wait_for_change(self, seconds: float) -> None:
        """Return when something has changed or the time is over. It makes no task, to be cheap."""
        timer = self._loop.call_later(max(0.0, seconds), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    def _verdict(self) -> Verdict | None:
        """How the execution has ended; None while it runs."""
        kernel, execution = self.kernel, self.execution
        # `_take_up` is set if the code had not begun when its time was over. If it has begun since, the interrupt for a
        # leftover may have ended it.
        is_timeout = self._grace is not None or self._take_up is not None
        outcome = "timeout" if is_timeout else "interrupted" if self._is_interrupted else "finished"
        if execution.is_done:
            if execution.reply is None:
                return without_reply(outcome)
            # After quit(), the kernel would accept one more request, and would end while that request runs. So it is
            # replaced.
            reason = "died" if execution.wants_exit else None
            return Verdict(outcome, execution.reply, reason)
        if kernel.has_exited and kernel.has_lost_link:
            return cut_off(is_timeout)
        if kernel.has_exited:
            was_oom = self.sampler.was_out_of_memory(kernel.exit_code)
            return died(kernel.exit_code, was_oom, is_timeout)
        if self._must_restart():
            return restarted(is_timeout)
        if execution.started_at is None and self._take_up and self._take_up.is_over():
            return never_taken_up(self._is_interrupted)
        if self._grace and self._grace.is_over():
            return went_on()
        return None

    def _act(self) -> float:
        """Do what is due; returns when to look again at the latest."""
        execution, now = self.execution, self._loop.time()
        if execution.started_at is None:
            return self._free_kernel(now)
        look_at = self._enforce_limit(now)
        if self._is_interrupt_due and execution.is_interruptible:
            # Not earlier: before the kernel has begun with the request, SIGINT would not interrupt this request.
            self._is_interrupt_due = False
            self.kernel.interrupt()
        return look_at

    def _enforce_limit(self, now: float) -> float:
        """From the limit on, count the grace time and request its interrupts; returns when to look again."""
        if now < self.execution.deadline:
            return self.execution.deadline
        if self._grace is None:
            self._grace = self._begin_grace(self.execution.request.grace_ms / 1000)
            self._is_interrupt_due = True
        look_at = self._grace.look()
        if not self._is_interrupted_again and self._grace.is_over(INTERRUPT_AGAIN_SHARE):
            self._is_interrupted_again = self._is_interrupt_due = True
        return look_at

    def _begin_grace(self, seconds: float) -> Grace:
        return grace_of(self.kernel, self.sampler, seconds, self._loop.time)

    def _free_kernel(self, now: float) -> float:
        """Interrupt the leftover of an earlier execution, once; returns when to look again at the latest.

        The interrupt should hit nothing else. A kernel without a CPU may have begun the code and not reported that yet,
        so only time in which it could run counts. From the code's limit on, the interrupt may hit the code as well.
        """
        deadline = self.execution.deadline
        if not self._has_freed:
            look_at = self._look_at_leftover()
            if now < min(look_at, deadline):
                return min(look_at, deadline)
            self._has_freed = True
            self.kernel.interrupt()
        if now < deadline:
            return deadline
        self._take_up = self._take_up or self._begin_grace(TAKE_UP_SECONDS)
        return self._take_up.look()

    def _look_at_leftover(self) -> float:
        """When to look again; not later than now if the kernel is stuck."""
        self._leftover = self._leftover or self._begin_grace(self.execution.busy_seconds)
        look_at = self._leftover.look()
        is_over = self._leftover.is_over()
        return self._heard_at + SILENCE_SECONDS if is_over else look_at


@dataclass(frozen=True)
class Verdict:
    """How an execution ended: its outcome, its reply, and whether its kernel must be replaced.

    `restart_reason` is set when a fresh kernel must take over; `exit_code` is that of a dead kernel.
    """

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
    """Someone asked for a fresh kernel, or deleted the context."""
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


def grace_of(
    kernel: Kernel, sampler: UsageSampler, seconds: float, clock: Callable[[], float]
) -> Grace:
    """A grace time for this kernel. `sampler` measures the CPU time of the kernel and of all that it has started."""

    def see() -> Sight:
        cpu = kernel.cpu()
        tree_seconds = sampler.cpu_ms() / 1000 / kernel.cpus
        return Sight(cpu.wants_cpu, cpu.used_seconds, tree_seconds)

    return Grace(seconds, see, clock)
