"""Attacks on the helper that acts on files with the user's rights. It shares only these rights with user code."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable
from errno import EINVAL, ENODEV, ENOSYS, ENXIO, EPERM, ESRCH

from harness import ABSENT, DENIED, LIBC, PERM, READ_ONLY, Numbers, call, demand, every, is_gvisor
from harness import probe, refused, strangers

USER, AGENT = 64002, 64001
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
IOPRIO_WHO_PROCESS = 1
RLIMIT_NOFILE = 7
DESCRIPTORS = 16


def ids_of(pid: int) -> list[int]:
    """The real, effective, saved and file-system uid."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("Uid:"):
                return [int(uid) for uid in line.split()[1:]]
    raise AssertionError("no Uid")


def helper() -> int:
    """The helper's process id: the only process, of those that user code did not make, with the user's file rights."""
    found = [pid for pid in strangers() if ids_of(pid)[3] == USER]
    if len(found) != 1:
        raise AssertionError(f"helpers: {found}")
    return found[0]


def each_refused(numbers: Numbers, attacks: dict[str, Callable[[int], object]]) -> str:
    """Every attack on the helper is refused."""
    pid = helper()
    return every(*(refused(what, numbers, attack, pid) for what, attack in attacks.items()))


@probe("signals the helper of files")
def signals() -> str:
    information = struct.pack("=iii116x", signal.SIGKILL, 0, -1)
    return each_refused(
        (EPERM, ENOSYS),
        {
            "kill": lambda pid: os.kill(pid, signal.SIGKILL),
            "stop": lambda pid: os.kill(pid, signal.SIGSTOP),
            "its group": lambda pid: os.killpg(os.getpgid(pid), signal.SIGKILL),
            "its thread": lambda pid: call("tgkill", pid, pid, signal.SIGKILL),
            "queued": lambda pid: call("rt_sigqueueinfo", pid, signal.SIGKILL, information),
            # gVisor has no pidfd_open.
            "by a handle": lambda pid: call(
                "pidfd_send_signal", call("pidfd_open", pid, 0), signal.SIGKILL, 0, 0
            ),
        },
    )


@probe("traces the helper of files, or reads its memory")
def memory() -> str:
    vector = struct.pack("=QQ", 0x400000, 8)

    def read(name: str) -> Callable[[int], bytes]:
        def attack(pid: int) -> bytes:
            with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
                file.seek(0x400000 if name == "mem" else 0)
                return file.read(8)

        return attack

    # gVisor shows `environ` and the rest to everybody. They hold no secret: the helper clears its environment.
    names = ["mem"] if is_gvisor() else ["mem", "environ", "maps", "auxv", "syscall", "stack"]
    return every(
        each_refused(
            PERM,
            {
                "attach": lambda pid: call("ptrace", PTRACE_ATTACH, pid, 0, 0),
                "seize": lambda pid: call("ptrace", PTRACE_SEIZE, pid, 0, 0),
                "read": lambda pid: call("process_vm_readv", pid, vector, 1, vector, 1, 0),
                "write": lambda pid: call("process_vm_writev", pid, vector, 1, vector, 1, 0),
            },
        ),
        each_refused((*DENIED, *ABSENT), {name: read(name) for name in names}),
    )


@probe("takes the files of the helper of files, or goes where it is")
def descriptors() -> str:
    def take(number: int) -> Callable[[int], int]:
        def attack(pid: int) -> int:
            path = f"/proc/{pid}/fd/{number}"
            taken = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            if is_gvisor() and os.readlink(path) == "/dev/null":
                raise OSError(ENXIO, "open to all")
            return taken

        return attack

    return every(
        each_refused(
            (*DENIED, *ABSENT, ENXIO, ENODEV),
            {f"descriptor {number}": take(number) for number in range(DESCRIPTORS)},
        ),
        each_refused(
            (*DENIED, *ABSENT),
            {"its root": lambda pid: os.listdir(f"/proc/{pid}/root/run/cellhouse")},
        ),
        each_refused(
            (EPERM, ENOSYS),
            {"by a handle": lambda pid: call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0)},
        ),
    )


@probe("slows the helper of files down, or has it killed first")
def priorities() -> str:
    limit = struct.pack("=QQ", 10, 10)

    def write(name: str, text: bytes) -> Callable[[int], None]:
        def attack(pid: int) -> None:
            with open(f"/proc/{pid}/{name}", "wb", buffering=0) as file:
                file.write(text)

        return attack

    fixed = every(
        each_refused(PERM, {"limit": lambda pid: call("prlimit64", pid, RLIMIT_NOFILE, limit, 0)}),
        each_refused((EPERM, ESRCH), {"group": lambda pid: os.setpgid(pid, os.getpid())}),
        each_refused(
            (*READ_ONLY, *ABSENT, EINVAL),
            {"score": write("oom_score_adj", b"1000"), "name": write("comm", b"x")},
        ),
    )
    if is_gvisor():
        # Under gVisor nothing reads niceness and affinity.
        return fixed
    return every(
        fixed,
        each_refused(
            PERM,
            {
                "niceness": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
                "affinity": lambda pid: os.sched_setaffinity(pid, {0}),
                "idle": lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
                "I/O": lambda pid: call("ioprio_set", IOPRIO_WHO_PROCESS, pid, 3 << 13),
            },
        ),
    )


@probe("gets the rights on files of the agent, as the helper got those of the user")
def file_system_ids() -> str:
    changed = []
    for change in (LIBC.setfsgid, LIBC.setfsuid):
        ctypes.set_errno(0)
        change(AGENT)
        if ctypes.get_errno() != errno.ENOSYS and change(-1) != USER:
            changed.append(change)
    return every(
        demand(not changed, f"file-system ids: {ids_of(os.getpid())}"),
        refused("the agent's folder", DENIED, os.listdir, "/run/cellhouse"),
    )
