"""Gaining privileges: other users, capabilities, setuid programs, a writable system, limits lifted."""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import struct
import subprocess
from collections.abc import Iterator
from errno import EACCES, EINVAL, ENODATA, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EROFS, ETXTBSY

from harness import (
    ABSENT,
    DENIED,
    HOME,
    LIBC,
    PARAMETERS,
    PERM,
    READ_ONLY,
    Through,
    call,
    demand,
    every,
    in_child,
    is_gvisor,
    probe,
    refused,
)

AGENT_UID = 64001
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 40
# The tree holds Python and its libraries; fewer paths would mean that it was not walked.
MIN_FILES = 5_000
PSEUDO = ("/proc", "/sys", "/dev", HOME, "/tmp")


def _system_files() -> Iterator[str]:
    """Every path of the image."""
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in PSEUDO]
        for name in (*folders, *files):
            yield os.path.join(folder, name)


@probe("has a capability in any of its five sets")
def capabilities() -> str:
    with open("/proc/self/status", encoding="utf-8") as status:
        sets = dict(line.split() for line in status if line.startswith("Cap"))
    bounding = [
        n for n in range(LAST_CAPABILITY + 1) if LIBC.prctl(PR_CAPBSET_READ, n, 0, 0, 0) == 1
    ]
    ambient = [n for n in range(LAST_CAPABILITY + 1) if LIBC.prctl(PR_CAP_AMBIENT, 1, n, 0, 0) == 1]
    names = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:"}
    return every(
        demand(names <= set(sets) and all(int(bits, 16) == 0 for bits in sets.values()), f"{sets}"),
        demand(not bounding and not ambient, f"bounding {bounding}, ambient {ambient}"),
    )


@probe("takes a capability for itself")
def take_capability() -> str:
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    sets = struct.pack("=6I", 1 << 21, 1 << 21, 0, 0, 0, 0)
    return refused("capset", PERM, call, "capset", header, sets)


@probe("gains privileges by an exec (no_new_privs is off)")
def no_new_privileges() -> str:
    value = LIBC.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
    return demand(value == 1, f"no_new_privs: {value}")


@probe("becomes root, the agent, or a member of their groups")
def other_users() -> str:
    return every(
        refused("setuid(0)", PERM, os.setuid, 0),
        refused("setresuid(root)", PERM, os.setresuid, -1, 0, -1),
        refused("setreuid(agent)", PERM, os.setreuid, AGENT_UID, AGENT_UID),
        refused("setgid(0)", PERM, os.setgid, 0),
        refused("setresgid(agent)", PERM, os.setresgid, AGENT_UID, AGENT_UID, AGENT_UID),
        refused("setgroups", PERM, os.setgroups, [0, AGENT_UID]),
        demand(_file_system_uid() == os.getuid(), f"setfsuid: {_file_system_uid()}"),
    )


def _file_system_uid() -> int:
    """The uid for file access, after an attempt to make it root's."""
    LIBC.setfsuid(0)
    with open("/proc/self/status", encoding="utf-8") as status:
        return [int(line.split()[4]) for line in status if line.startswith("Uid:")][0]


@probe("finds a setuid, setgid or capability-bearing file in the image")
def privileged_files() -> str:
    seen = 0
    found = []
    for path in _system_files():
        try:
            mode = os.lstat(path).st_mode
        except PermissionError:
            continue
        seen += 1
        if not stat.S_ISREG(mode):
            continue
        if mode & (stat.S_ISUID | stat.S_ISGID) or _has_file_capabilities(path):
            found.append(path)
    if seen < MIN_FILES:
        raise AssertionError(f"only {seen} files were seen")
    return demand(not found, f"{found} of {seen}")


def _has_file_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError as error:
        if error.errno in (ENODATA, EOPNOTSUPP, EACCES, EPERM, ENOSYS):
            return False
        raise


@probe("runs a program as root with a set-user-id bit of its own")
def own_setuid_file() -> str:
    path = f"{HOME}/setuid-probe"
    with open("/usr/bin/id", "rb") as source, open(path, "wb") as copy:
        copy.write(source.read())
    os.chmod(path, 0o6755)
    shown = subprocess.run([path, "-u"], capture_output=True, text=True, check=True).stdout.strip()
    os.unlink(path)
    return every(
        demand(shown == str(os.getuid()), f"euid {shown}"),
        refused("give it to root", PERM, os.chown, HOME, 0, 0),
        refused("write a capability", (*PERM, EOPNOTSUPP, EINVAL), _write_capability),
    )


def _write_capability() -> None:
    path = f"{HOME}/capability-probe"
    with open(path, "wb"):
        os.setxattr(
            path, "security.capability", struct.pack("=IIIII", 0x02000001, 1 << 21, 0, 0, 0)
        )


@probe("runs a program that would make it root")
def root_programs() -> str:
    commands = (
        "su -c id root",
        f"mount -t tmpfs x {HOME}",
        "/usr/sbin/chroot / id",
        "unshare -r id",
        "newgrp root",
    )
    seen = []
    for command in commands:
        ended = subprocess.run(
            command.split(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if ended.returncode == 0 or "uid=0" in ended.stdout:
            raise Through(f"{command}: {ended.stdout}")
        seen.append(f"{command}: {ended.returncode}")
    return every(*seen)


@probe("writes anywhere in the system")
def writable_system() -> str:
    """Ask access() about every file, and also try to make, change and remove files."""
    seen = 0
    found = []
    for path in _system_files():
        try:
            mode = os.lstat(path).st_mode
        except PermissionError:
            continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            continue
        seen += 1
        if os.access(path, os.W_OK):
            found.append(path)
    if seen < MIN_FILES:
        raise AssertionError(f"only {seen} files were seen")
    folders = (
        "/",
        "/etc",
        "/usr/bin",
        "/usr/lib/python3/dist-packages",
        "/var/tmp",
        "/run",
        "/home",
        "/opt",
        "/root",
    )
    return every(
        demand(not found, f"writable: {found} of {seen}"),
        *(
            refused(f"new in {folder}", READ_ONLY, _make_file, f"{folder}/probe")
            for folder in folders
        ),
        refused("change a module", (*READ_ONLY, ETXTBSY), open, "/usr/lib/python3.13/os.py", "r+b"),
        refused("remove one", READ_ONLY, os.unlink, "/usr/lib/python3.13/os.py"),
        refused("new device folder", READ_ONLY, os.mkdir, "/dev/probe"),
    )


def _make_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.unlink(path)


@probe("has a writable file system without nosuid, nodev and a size")
def mount_options() -> str:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        lines = [line.split() for line in mounts]
    seen = []
    for point in (HOME, "/tmp", "/dev/shm"):
        _, _, kind, options, *_ = [line for line in lines if line[1] == point][-1]
        # gVisor prints no flags; other probes show that setuid bits and device nodes have no effect there.
        flags = set() if is_gvisor() else {"nosuid", "nodev"}
        given = set(options.split(","))
        sized = any(option.startswith("size=") for option in given)
        seen.append(
            demand(kind == "tmpfs" and flags <= given and sized, f"{point}: {kind} {options}")
        )
    return every(*seen)


@probe("lifts its own limits")
def limits() -> str:
    def lift(name: str, pair: tuple[int, int]) -> None:
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), pair)
        except ValueError as error:
            # Python raises ValueError if the system call fails with EPERM.
            raise PermissionError(EPERM, str(error)) from error

    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return every(
        demand(files == (1024, 1024), f"open files: {files}"),
        refused("more open files", PERM, lift, "NOFILE", (4096, 4096)),
        refused("real-time priority", PERM, lift, "RTPRIO", (99, 99)),
        # gVisor keeps a niceness as a number and schedules without it.
        *(
            []
            if is_gvisor()
            else [refused("niceness", DENIED, os.setpriority, os.PRIO_PROCESS, 0, -20)]
        ),
        refused(
            "real-time scheduling",
            (EPERM, EINVAL),
            os.sched_setscheduler,
            0,
            os.SCHED_FIFO,
            os.sched_param(50),
        ),
        refused("locked memory", PERM, lift, "MEMLOCK", (1 << 40, 1 << 40)),
    )


@probe("leaves a core dump, or wakes the host's crash handler")
def core_dumps() -> str:
    def crash() -> None:
        os.chdir(HOME)
        ctypes.string_at(0)

    def set_core(size: int) -> None:
        pair = struct.pack("=QQ", size, size)
        call("prlimit64", 0, resource.RLIMIT_CORE, pair, 0)

    before = set(os.listdir(HOME))
    ended = in_child(crash)
    left = set(os.listdir(HOME)) - before
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    # The limit is 1, because it is the only limit at which Linux never starts a handler.
    right = (1, 1) if not is_gvisor() else limit
    return every(
        demand(ended == -11 and not left, f"ended with {ended}, left {left}"),
        demand(limit == right, f"limit {limit}"),
        refused("a larger one", PERM, set_core, 1 << 30),
        refused("0", PERM, set_core, 0),
    )


@probe("reads the passwords or the home of root")
def root_files() -> str:
    return every(
        refused("/etc/shadow", (EACCES, *ABSENT), open, "/etc/shadow", "rb"),
        refused("/etc/gshadow", (EACCES, *ABSENT), open, "/etc/gshadow", "rb"),
        refused("/root", (EACCES, ENOENT), os.listdir, "/root"),
        refused("/etc/ssl/private", (EACCES, ENOENT), os.listdir, "/etc/ssl/private"),
        refused("sudoers", (EACCES, ENOENT), open, "/etc/sudoers", "rb"),
        refused("/etc/passwd is written", (EROFS, EACCES), open, "/etc/passwd", "ab"),
    )


@probe("finds a secret in its environment, arguments or inherited files")
def inherited() -> str:
    """Look for secrets that the fork server may have left in the kernel, of which this process is a fork."""
    if LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0:
        raise AssertionError("this process cannot read its own environment")
    with open("/proc/self/environ", "rb") as file:
        given = [entry.decode() for entry in file.read().split(b"\0") if entry]
    names = sorted(entry.partition("=")[0] for entry in given)
    suspicious = [
        name
        for name in names
        if any(word in name for word in ("TOKEN", "KEY", "SECRET", "CELLHOUSE", "DATABASE"))
    ]
    with open(f"/proc/{PARAMETERS['kernel_pid']}/cmdline", "rb") as file:
        arguments = file.read().decode().split("\0")
    folders = []
    for entry in os.listdir("/proc/self/fd"):
        target = _target(f"/proc/self/fd/{entry}")
        if target.startswith("/") and os.path.isdir(target):
            folders.append(target)
    return every(
        demand(bool(names) and not suspicious, f"environment: {names}"),
        demand(not any("key" in argument for argument in arguments), f"arguments: {arguments}"),
        demand(all(folder.startswith("/proc/") for folder in folders), f"open folders: {folders}"),
    )


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""
