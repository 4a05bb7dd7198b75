"""Tampering with the worker's own processes: init, the agent, the fork server, and the agent's socket."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
from collections.abc import Callable
from errno import EBUSY, EINVAL, ENODEV, ENOENT, ENOSYS, ENOTEMPTY, ENXIO, EPERM, ESRCH, EXDEV
from typing import Any

from harness import (
    ABSENT,
    DENIED,
    HOME,
    PARAMETERS,
    PERM,
    READ_ONLY,
    Numbers,
    call,
    demand,
    every,
    in_child,
    is_gvisor,
    probe,
    refused,
    strangers,
)

AGENT_UID = 64001
SOCKET = "/run/cellhouse/socket/agent.sock"
SOCKET_FOLDER = "/run/cellhouse/socket"
P_PID = 1
IOPRIO_WHO_PROCESS = 1
PTRACE_ATTACH = 16
PTRACE_DETACH = 17
PTRACE_SEIZE = 0x4206


def each(numbers: Numbers, attack: Callable[..., object], *arguments: Any) -> str:
    """Run an attack on each process that user code did not make. The attack gets the process id, then the arguments."""
    return every(*(refused(str(pid), numbers, attack, pid, *arguments) for pid in strangers()))


@probe("signals the agent or init")
def kill() -> str:
    numbers = (0, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT, signal.SIGKILL)
    return every(*(each(PERM, os.kill, number) for number in numbers))


@probe("signals the agent or init by other calls")
def kill_otherwise() -> str:
    information = struct.pack("=iii116x", signal.SIGTERM, 0, -1)

    def through_handle(pid: int) -> int:
        return call("pidfd_send_signal", call("pidfd_open", pid, 0), signal.SIGTERM, 0, 0)

    return every(
        # Signal 0 only asks whether a signal may be sent.
        each(PERM, lambda pid: call("tgkill", pid, pid, 0)),
        each(PERM, lambda pid: call("tgkill", pid, pid, signal.SIGTERM)),
        each(PERM, lambda pid: call("rt_sigqueueinfo", pid, signal.SIGTERM, information)),
        # gVisor has no pidfd_open.
        each((EPERM, ENOSYS), through_handle),
        *(refused(f"group {group}", PERM, os.killpg, group, signal.SIGTERM) for group in _groups()),
    )


def _groups() -> set[int]:
    """The process groups of the worker's own processes, without init's: a signal to group 1 is one to all processes."""
    return {os.getpgid(pid) for pid in strangers()} - {0, 1}


@probe("signals all processes at once, the agent among them")
def kill_all() -> str:
    """Only processes of user code may be among those that a signal to all processes reaches."""
    before = strangers()

    def attack() -> None:
        # Signal 0 only asks: any other signal would end the kernel and this probe.
        os.kill(-1, 0)

    code = in_child(attack)
    return every(
        demand(code in (0, ESRCH), f"asked all: {code}"),
        each(PERM, lambda pid: os.kill(pid, 0)),
        demand(strangers() == before, f"all there: {before}"),
    )


@probe("traces the agent or init")
def trace() -> str:
    def attach(pid: int) -> int:
        call("ptrace", PTRACE_ATTACH, pid, 0, 0)
        os.waitpid(pid, 0)
        # If the attack succeeds, the process is released again: without init, the worker would not end.
        return call("ptrace", PTRACE_DETACH, pid, 0, 0)

    return every(
        each(PERM, attach),
        each(PERM, lambda pid: call("ptrace", PTRACE_SEIZE, pid, 0, 0)),
    )


@probe("reads or writes the memory of the agent or init")
def memory() -> str:
    vector = struct.pack("=QQ", 0x400000, 8)

    def write(pid: int) -> None:
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as file:
            file.seek(0x400000)
            file.write(b"\xcc")

    def read(pid: int) -> bytes:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            file.seek(0x400000)
            return file.read(8)

    numbers = (*DENIED, *ABSENT)
    return every(
        each(numbers, read),
        each(numbers, write),
        each(PERM, lambda pid: call("process_vm_readv", pid, vector, 1, vector, 1, 0)),
        each(PERM, lambda pid: call("process_vm_writev", pid, vector, 1, vector, 1, 0)),
    )


def _read_of(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(4096)


@probe("reads the environment of the agent or init")
def environment() -> str:
    if not is_gvisor():
        return each((*DENIED, *ABSENT), _read_of, "environ")
    # gVisor shows every environment to everyone. So an environment may hold only settings that anyone may know, and
    # variables that the kernel has, too.
    seen = {entry for pid in strangers() for entry in _entries(pid)}
    own = _entries(PARAMETERS["kernel_pid"])
    known = {"PATH", "HOME", "HOSTNAME", *PARAMETERS["settings"]}
    secret = [entry for entry in seen - own if entry.partition("=")[0] not in known]
    return demand(bool(seen) and not secret, f"{sorted(seen - own)}")


def _entries(pid: int) -> set[str]:
    return {entry for entry in _read_of(pid, "environ").decode().split("\0") if entry}


@probe("reads where the memory of the agent or init lies", only="runc")
def memory_map() -> str:
    names = ("maps", "smaps", "pagemap", "auxv", "syscall", "stack")
    return every(*(each((*DENIED, *ABSENT), _read_of, name) for name in names))


def is_open_to_all(taken: int, path: str, flags: int) -> bool:
    """Whether this is the null device, or a file that this user can open by its name, too."""
    status = os.fstat(taken)
    if stat.S_ISCHR(status.st_mode):
        return os.read(os.open(path, os.O_RDONLY), 1) == b""
    try:
        own = os.open(os.readlink(f"/proc/self/fd/{taken}"), flags | os.O_NONBLOCK)
    except OSError:
        return False
    return os.path.samestat(os.fstat(own), status)


@probe("takes the files of the agent or init")
def files() -> str:
    def take(path: str, flags: int) -> None:
        taken = os.open(path, flags | os.O_NONBLOCK)
        # gVisor lets anyone reopen files that they may open anyway: the null device, a counter that is just being read.
        if is_gvisor() and is_open_to_all(taken, path, flags):
            raise OSError(ENXIO, "open to all")

    numbers = (*DENIED, *ABSENT, ENXIO, ENODEV)
    descriptors = range(64)
    return every(
        *(
            refused(f"{pid}/{number}", numbers, take, f"/proc/{pid}/fd/{number}", flags)
            for pid in strangers()
            for number in descriptors
            for flags in (os.O_RDONLY, os.O_WRONLY)
        ),
        *([] if is_gvisor() else [each(DENIED, lambda pid: os.listdir(f"/proc/{pid}/fd"))]),
        each(numbers, lambda pid: os.listdir(f"/proc/{pid}/root/run/cellhouse")),
        each(numbers, lambda pid: os.listdir(f"/proc/{pid}/cwd/run/cellhouse/socket")),
        # gVisor has no pidfd_open.
        each((EPERM, ENOSYS), lambda pid: call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0)),
    )


@probe("slows the agent or init down")
def priorities() -> str:
    limit = struct.pack("=QQ", 10, 10)
    fixed = every(
        each(
            (EPERM, EINVAL),
            lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        ),
        each(PERM, lambda pid: call("ioprio_set", IOPRIO_WHO_PROCESS, pid, 3 << 13)),
        each(PERM, lambda pid: call("prlimit64", pid, 7, limit, 0)),
    )
    if is_gvisor():
        # Under gVisor nothing reads niceness and affinity.
        return fixed
    return every(
        fixed,
        each(PERM, lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19)),
        *(
            refused(f"group {group}", DENIED, os.setpriority, os.PRIO_PGRP, group, 19)
            for group in _groups()
        ),
        refused("all of its user", (EPERM, ESRCH), os.setpriority, os.PRIO_USER, AGENT_UID, 19),
        each(PERM, lambda pid: os.sched_setaffinity(pid, {0})),
    )


@probe("makes the host's kernel kill the agent or init first when memory is short")
def out_of_memory_score() -> str:
    def write(pid: int, name: str, text: bytes) -> None:
        with open(f"/proc/{pid}/{name}", "wb", buffering=0) as file:
            file.write(text)

    # gVisor opens `comm` of the helper of files, because the helper's effective uid is the user's, but does not write.
    numbers = (*READ_ONLY, *ABSENT, *((EINVAL,) if is_gvisor() else ()))
    names = {"oom_score_adj": b"1000", "comm": b"x", "timerslack_ns": b"1", "coredump_filter": b"0"}
    return every(
        *(each(numbers, write, name, text) for name, text in names.items()),
    )


@probe("makes itself safer than the agent when memory is short", only="runc")
def own_score() -> str:
    """Code may lower its score to that of the agent (docs/internals/security.md, "Remaining risks"), but not below."""

    def lower(score: int) -> None:
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
            file.write(str(score).encode())

    return every(refused("-1", DENIED, lower, -1), refused("-1000", DENIED, lower, -1000))


@probe("moves the agent to another process group")
def process_group() -> str:
    return each((EPERM, ESRCH), lambda pid: os.setpgid(pid, os.getpid()))


@probe("enters the folder of the agent's socket")
def socket_folder() -> str:
    return every(
        refused("list its parent", DENIED, os.listdir, "/run/cellhouse"),
        refused("list it", DENIED, os.listdir, SOCKET_FOLDER),
        refused("look at the socket", DENIED, os.stat, SOCKET),
        refused("go there", DENIED, os.chdir, SOCKET_FOLDER),
        refused("by way of init", (*DENIED, ENOENT), os.listdir, f"/proc/1/root{SOCKET_FOLDER}"),
    )


@probe("talks to the agent over its socket")
def connect() -> str:
    def attack(path: str, kind: int) -> None:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.connect(path)

    os.symlink(SOCKET, f"{HOME}/agent-link")
    try:
        return every(
            refused("stream", DENIED, attack, SOCKET, socket.SOCK_STREAM),
            refused("datagram", DENIED, attack, SOCKET, socket.SOCK_DGRAM),
            refused("by a link", DENIED, attack, f"{HOME}/agent-link", socket.SOCK_STREAM),
            refused(
                "by the kernel's root",
                DENIED,
                attack,
                f"/proc/self/root{SOCKET}",
                socket.SOCK_STREAM,
            ),
        )
    finally:
        os.unlink(f"{HOME}/agent-link")


@probe("puts another socket in the place of the agent's")
def replace_socket() -> str:
    def bind(path: str) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)

    return every(
        refused("bind it", READ_ONLY, bind, SOCKET),
        refused("bind beside it", READ_ONLY, bind, f"{SOCKET_FOLDER}/other.sock"),
        refused("remove it", READ_ONLY, os.unlink, SOCKET),
        refused("rename it", READ_ONLY, os.rename, SOCKET, f"{SOCKET_FOLDER}/old.sock"),
        refused("rename another over it", (*READ_ONLY, EXDEV), os.rename, HOME, SOCKET_FOLDER),
        refused("rename its folder", (*READ_ONLY, EBUSY), os.rename, "/run/cellhouse", "/run/x"),
        refused("link it", (*READ_ONLY, EXDEV), os.link, SOCKET, f"{HOME}/agent.sock"),
        refused("open the folder", READ_ONLY, os.chmod, "/run/cellhouse", 0o777),
        refused("own the folder", READ_ONLY, os.chown, "/run/cellhouse", 64002, 64002),
        refused("replace /run", (*READ_ONLY, EBUSY, ENOTEMPTY), os.rename, "/run", "/old-run"),
    )


@probe("finds another socket that somebody listens on")
def named_sockets() -> str:
    """Agent and kernels talk over unnamed pairs of sockets. Only the agent's socket has a name."""
    names = set()
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        for line in list(table)[1:]:
            names |= set(line.split()[7:])
    listening = []
    for table_name in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table_name}", encoding="utf-8") as table:
            listening += list(table)[1:]
    return every(
        demand(names <= {SOCKET, os.path.basename(SOCKET)}, f"Unix: {names}"),
        demand(not listening, f"TCP and UDP: {listening}"),
    )
