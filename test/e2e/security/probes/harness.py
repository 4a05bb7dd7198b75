"""What every probe needs: proof that this is a worker, system calls by name, and a verdict that needs evidence.

A probe is a function that attacks. If the attack is refused, the probe returns what it saw; if not, it raises Through.
Any other exception means that the attack itself is broken, which never counts as refused. Each probe runs in its own
process, a fork of the kernel with the kernel's user, limits and memory.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

# A probe looks at some files or makes some calls. A probe that hangs is broken.
PROBE_SECONDS = 30

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

# System call numbers on x86-64 and on arm64 (<asm/unistd.h>); None: the machine does not have the call.
CALLS: dict[str, tuple[int, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "remap_file_pages": (216, 234),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
}
IS_X86 = platform.machine() == "x86_64"


class NotAWorker(Exception):
    """This is not a worker: nothing is attacked here."""


class Through(Exception):
    """An attack was not refused; the message says what it achieved."""


# The home of user code, the only folder of its own.
HOME = "/home/user"

# From the test: `tier` (runc or runsc), what the host has, and the kernel's own process.
PARAMETERS: dict[str, Any] = {}

Probe = Callable[[], str]
Numbers = tuple[int, ...]
# The error numbers that mean a refusal.
PERM: Numbers = (errno.EPERM,)
DENIED: Numbers = (errno.EPERM, errno.EACCES)
READ_ONLY: Numbers = (errno.EROFS, errno.EACCES, errno.EPERM)
ABSENT: Numbers = (errno.ENOENT, errno.ENOTDIR)
_probes: dict[str, Probe] = {}


def probe(name: str, only: str | None = None) -> Callable[[Probe], Probe]:
    """Register an attack under a name that says what it attempts; `only` limits it to one runtime."""

    def register(attack: Probe) -> Probe:
        if only in (None, PARAMETERS["tier"]):
            _probes[name] = attack
        return attack

    return register


def assert_worker() -> None:
    """Raise NotAWorker unless there is no network but lo, this is not root, and the root file system is read-only."""
    interfaces = [name for _, name in socket.if_nameindex()]
    if interfaces != ["lo"]:
        raise NotAWorker(f"interfaces: {interfaces}")
    if 0 in (*os.getresuid(), *os.getresgid()):
        raise NotAWorker("root")
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        options = [fields[3] for fields in map(str.split, mounts) if fields[1] == "/"]
    if not options or "ro" not in options[-1].split(","):
        raise NotAWorker(f"root file system: {options}")


def call(name: str, *arguments: Any) -> int:
    """A system call; raises OSError as os does."""
    x86, arm = CALLS[name]
    number = x86 if IS_X86 else arm
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result: int = LIBC.syscall(ctypes.c_long(number), *map(_argument, arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _argument(value: Any) -> Any:
    """An int as wide as a register: ctypes would cut it to 32 bits."""
    return ctypes.c_ulong(value % 2**64) if isinstance(value, int) else value


def refused(what: str, numbers: Numbers, attack: Callable[..., object], *arguments: Any) -> str:
    """The attack must fail with one of these error numbers. Any other error is raised: then the attack is broken."""
    try:
        result = attack(*arguments)
    except OSError as error:
        if error.errno in numbers:
            return f"{what}: {errno.errorcode[error.errno]}"
        raise AssertionError(f"{what}: {error}") from error
    raise Through(f"{what}: {result!r}")


def every(*evidence: str) -> str:
    """Join the evidence of several attacks, of which there must be at least one."""
    if not evidence:
        raise AssertionError("nothing was attacked")
    return "; ".join(evidence)


def demand(is_so: bool, evidence: str) -> str:
    """Return the evidence if the condition holds; otherwise the attack got through."""
    if not is_so:
        raise Through(evidence)
    return evidence


def is_gvisor() -> bool:
    """Whether the worker runs under gVisor."""
    return bool(PARAMETERS["tier"] == "runsc")


def run_probes() -> None:
    """Run all registered probes, and print one JSON line for each."""
    assert_worker()
    for name, attack in _probes.items():
        print(json.dumps({"probe": name, **_run(attack)}), flush=True)


def _run(attack: Probe) -> dict[str, str]:
    """The verdict of one attack, which runs in its own process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.write(writing, json.dumps(_verdict(attack)).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    text = _read_all(reading, time.monotonic() + PROBE_SECONDS)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if text is None:
        return {"broken": f"nothing after {PROBE_SECONDS} s"}
    if not text:
        return {"broken": f"its process ended with {os.waitstatus_to_exitcode(status)}"}
    verdict: dict[str, str] = json.loads(text)
    return verdict


def _verdict(attack: Probe) -> dict[str, str]:
    try:
        assert_worker()
        evidence = attack()
    except Through as through:
        return {"through": str(through)}
    except BaseException as error:  # Whatever it is, this attack showed nothing.
        return {"broken": f"{type(error).__name__}: {error}"}
    return {"held": evidence} if evidence else {"broken": "no evidence"}


def _read_all(reading: int, deadline: float) -> bytes | None:
    """All bytes until the other end closes; None if it does not close in time."""
    text = b""
    try:
        while True:
            ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            piece = os.read(reading, 65_536)
            if not piece:
                return text
            text += piece
    finally:
        os.close(reading)


def in_child(body: Callable[[], object]) -> int:
    """Run this in a child process and return its exit code, negative for the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def parent_of(pid: int) -> int:
    """The parent's process id; 0 when there is none or the process is gone."""
    return int(_stat_of(pid)[1])


def state_of(pid: int) -> str:
    """The letter of the process's state; 0 when the process is gone."""
    return _stat_of(pid)[0]


def _stat_of(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return ["0", "0"]


def strangers() -> list[int]:
    """Every process that user code did not make: init, the agent, and the worker's other processes."""
    kernel = PARAMETERS["kernel_pid"]
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            line = [int(entry)]
            while line[-1] > 1:
                line.append(parent_of(line[-1]))
            if kernel not in line:
                found.append(int(entry))
    if 1 not in found:
        raise AssertionError(f"init should be among {found}")
    return sorted(found)


def bytes_of(value: int, size: int = 4) -> bytes:
    """A C integer."""
    return struct.pack({2: "=H", 4: "=i", 8: "=q"}[size], value)
