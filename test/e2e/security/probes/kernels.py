"""Tampering with the reaper of a kernel, and with another kernel of the same user."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable

from harness import (
    ABSENT,
    DENIED,
    PARAMETERS,
    PERM,
    bytes_of,
    call,
    demand,
    every,
    in_child,
    is_gvisor,
    parent_of,
    probe,
    refused,
    state_of,
)

CLONE_PARENT = 0x8000
# Far longer than reaping a child takes.
REAP_SECONDS = 10.0


def wait_for(is_so: Callable[[], bool]) -> None:
    """Return when the condition holds, or after REAP_SECONDS."""
    until = time.monotonic() + REAP_SECONDS
    while not is_so() and time.monotonic() < until:
        time.sleep(0.001)


@probe("signals the reaper by the end of a child")
def end_of_child() -> str:
    """Make a child of the reaper whose end sends the reaper a signal other than SIGCHLD.

    The attacker is an orphan, so its parent is the reaper. It makes the child once with CLONE_PARENT (which gVisor
    ignores), so that the reaper is also the child's parent, and once without, so that the child becomes an orphan.
    """
    kernel = PARAMETERS["kernel_pid"]
    reaper = parent_of(kernel)

    def attack(flags: int, number: signal.Signals, writing: int) -> None:
        if os.fork():
            return
        wait_for(lambda: os.getppid() == reaper)
        if call("clone", flags | number, 0, 0, 0, 0) == 0:
            wait_for(lambda: os.getppid() == reaper)
            os.write(writing, bytes_of(os.getpid()))
        os._exit(0)

    def end_with(flags: int, number: signal.Signals) -> str:
        reading, writing = os.pipe()
        in_child(lambda: attack(flags, number, writing))
        os.close(writing)
        (child,) = struct.unpack("=i", os.read(reading, 4))
        wait_for(lambda: parent_of(child) != reaper)
        return demand(parent_of(child) == 0, f"{child} was reaped")

    numbers = (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL)
    return every(
        *(end_with(flags, number) for flags in (CLONE_PARENT, 0) for number in numbers),
        demand(parent_of(kernel) == reaper, f"{reaper} is still the parent"),
        demand(state_of(reaper) in ("S", "R"), f"{reaper} is not stopped"),
    )


@probe("reads or changes another kernel of its user")
def other_kernel() -> str:
    """The target is the attacker's own kernel. Another would be no different, as the attacker is another process."""
    kernel = PARAMETERS["kernel_pid"]
    folder = f"/proc/{kernel}"
    vector = struct.pack("=QQ", 0x400000, 8)

    def open_to(mode: str, name: str) -> None:
        with open(f"{folder}/{name}", mode, buffering=0) as file:
            if mode == "wb":
                file.write(b"0")

    def take(number: int) -> None:
        os.open(f"{folder}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)

    in_memory = every(
        demand(os.getpid() != kernel, "another process"),
        refused("read memory", DENIED, open_to, "rb", "mem"),
        refused("write memory", DENIED, open_to, "r+b", "mem"),
        refused("readv", PERM, call, "process_vm_readv", kernel, vector, 1, vector, 1, 0),
        refused("writev", PERM, call, "process_vm_writev", kernel, vector, 1, vector, 1, 0),
    )
    if is_gvisor():
        # gVisor shows the rest of any process to everyone (docs/internals/security.md, "Tiers").
        return in_memory
    read = ("environ", "maps", "smaps", "pagemap", "auxv", "syscall", "io", f"task/{kernel}/mem")
    written = ("comm", "oom_score_adj", "timerslack_ns", "coredump_filter", "clear_refs")
    return every(
        in_memory,
        *(refused(name, DENIED, open_to, "rb", name) for name in read),
        *(refused(name, DENIED, open_to, "wb", name) for name in written),
        *(
            refused(name, DENIED, os.readlink, f"{folder}/{name}")
            for name in ("cwd", "exe", "root")
        ),
        *(refused(name, DENIED, os.listdir, f"{folder}/{name}") for name in ("fd", "map_files")),
        *(refused(f"fd {number}", (*DENIED, *ABSENT), take, number) for number in range(64)),
    )
