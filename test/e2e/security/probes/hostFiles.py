"""The host through files: /proc, /sys, control groups, mounts, links in the home, descriptors left open."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from errno import EACCES, EBUSY, EINVAL, EIO, EISDIR, ELOOP, ENODEV, ENOENT, ENOTDIR, EXDEV

from harness import (
    ABSENT,
    DENIED,
    HOME,
    PARAMETERS,
    READ_ONLY,
    Through,
    demand,
    every,
    is_gvisor,
    probe,
    refused,
)

# At most this much of each file is read, since only its beginning matters.
READ_BYTES = 65_536
# /sys has links that lead in circles: the walk does not follow them, and has this limit.
MAX_SYS_ENTRIES = 50_000


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(READ_BYTES)


def _write(path: str, text: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(text)


def _hidden(path: str) -> str:
    """The file is absent, not readable, or empty."""
    try:
        seen = _read(path)
    except OSError as error:
        if error.errno in (*DENIED, *ABSENT, EIO, ENODEV, EISDIR):
            return f"{path}: {error.strerror}"
        raise
    return demand(seen == b"", f"{path}: {seen[:80]!r}")


@probe("reads the host's memory and addresses of its kernel")
def kernel_memory() -> str:
    names = "kcore kmem kallsyms kmsg kpagecount kpageflags kpagecgroup iomem ioports vmallocinfo slabinfo"
    return every(
        *(_hidden(f"/proc/{name}") for name in names.split()),
        _hidden("/sys/kernel/notes"),
        _hidden("/sys/kernel/vmcoreinfo"),
        _hidden("/sys/kernel/debug/tracing/trace"),
        _hidden("/proc/self/stack"),
        _hidden("/proc/1/stack"),
    )


@probe("reads what the host and others on it do")
def host_activity() -> str:
    names = (
        "timer_list timer_stats sched_debug latency_stats keys key-users interrupts softirqs schedstat diskstats "
        "partitions swaps modules zoneinfo buddyinfo pagetypeinfo pressure/cpu fs/ext4 bus/pci/devices config.gz"
    ).split()
    if not is_gvisor():
        # It shows how many keys each user of the host has. Docker does not hide these few numbers, either.
        names.remove("key-users")
    return every(*(_hidden(f"/proc/{name}") for name in names))


@probe("reads how the host was started")
def host_command_line() -> str:
    seen = _read("/proc/cmdline").decode().strip()
    return demand(seen != PARAMETERS["host_cmdline"] and (not seen or is_gvisor()), f"{seen!r}")


@probe("reads what hardware the host has")
def hardware() -> str:
    folders = "block bus class/net class/dmi class/block class/tpm dev/block firmware hypervisor module power kernel"
    seen = []
    for name in folders.split():
        try:
            entries = os.listdir(f"/sys/{name}")
        except OSError as error:
            seen.append(f"{name}: {error.strerror}")
            continue
        seen.append(demand(not entries, f"{name}: {entries[:5]}"))
    return every(*seen)


@probe("uses the magic SysRq key")
def sysrq() -> str:
    numbers = (*READ_ONLY, *ABSENT, EIO, EINVAL)
    return every(
        refused("trigger", numbers, _write, "/proc/sysrq-trigger", b"h"),
        refused("setting", numbers, _write, "/proc/sys/kernel/sysrq", b"1"),
    )


@probe("writes a setting of the kernel")
def settings() -> str:
    names = (
        "kernel/core_pattern kernel/modprobe kernel/hostname kernel/hotplug kernel/poweroff_cmd "
        "kernel/yama/ptrace_scope kernel/randomize_va_space kernel/unprivileged_bpf_disabled "
        "kernel/panic kernel/ns_last_pid kernel/shmmax kernel/keys/maxkeys vm/overcommit_memory "
        "vm/drop_caches vm/panic_on_oom vm/mmap_min_addr fs/file-max fs/suid_dumpable "
        "fs/protected_symlinks fs/binfmt_misc/register net/ipv4/ip_forward net/core/somaxconn "
        "user/max_user_namespaces"
    )
    return every(
        *(
            refused(name, (*READ_ONLY, *ABSENT), _write, f"/proc/sys/{name}", b"1")
            for name in names.split()
        )
    )


@probe("writes a file of /proc that is not its own")
def proc_files() -> str:
    names = "acpi/wakeup bus/pci/00/00.0 irq/0/smp_affinity irq/default_smp_affinity fs/xfs/stat mtrr scsi/scsi"
    return every(
        *(
            refused(name, (*READ_ONLY, *ABSENT), _write, f"/proc/{name}", b"1")
            for name in names.split()
        ),
        refused("new", (*READ_ONLY, *ABSENT), os.mkdir, "/proc/probe"),
    )


@probe("maps itself to another user")
def identity_maps() -> str:
    """Write the id maps of its own process: they are for user namespaces, of which it has none."""
    numbers = (*READ_ONLY, *ABSENT, EINVAL)
    return every(
        refused("uid_map", numbers, _write, "/proc/self/uid_map", b"0 64002 1"),
        refused("gid_map", numbers, _write, "/proc/self/gid_map", b"0 64002 1"),
        refused("setgroups", numbers, _write, "/proc/self/setgroups", b"deny"),
        refused("projid_map", numbers, _write, "/proc/self/projid_map", b"0 0 1"),
        refused("security label", numbers, _write, "/proc/self/attr/exec", b"unconfined"),
    )


def _walk_sys() -> Iterator[str]:
    seen = 0
    for folder, _, files in os.walk("/sys"):
        for name in files:
            seen += 1
            if seen > MAX_SYS_ENTRIES:
                return
            yield os.path.join(folder, name)


@probe("writes anything in /sys")
def sys_files() -> str:
    paths = [path for path in _walk_sys() if stat.S_ISREG(os.lstat(path).st_mode)]
    writable = [path for path in paths if os.access(path, os.W_OK)]
    names = "power/state kernel/uevent_helper kernel/mm/ksm/run devices/system/cpu/cpu0/online bus/pci/rescan"
    return every(
        demand(len(paths) > 10 and not writable, f"{writable[:5]} of {len(paths)}"),
        *(
            refused(name, (*READ_ONLY, *ABSENT), _write, f"/sys/{name}", b"1")
            for name in names.split()
        ),
        refused("new", (*READ_ONLY, *ABSENT), os.mkdir, "/sys/probe"),
    )


@probe("lifts its limits in the control group")
def control_group() -> str:
    files = (
        "memory/memory.limit_in_bytes memory/memory.oom_control memory/cgroup.procs memory/release_agent pids/pids.max "
        "cpu/cpu.cfs_quota_us cpuset/cpuset.cpus devices/devices.allow devices/cgroup.procs release_agent "
        "memory.max memory.high pids.max cpu.max cgroup.procs cgroup.subtree_control cgroup.kill cgroup.freeze"
    )
    folders = [entry.path for entry in os.scandir("/sys/fs/cgroup") if entry.is_dir()]
    return every(
        *(
            refused(name, (*READ_ONLY, *ABSENT), _write, f"/sys/fs/cgroup/{name}", b"1")
            for name in files.split()
        ),
        *(
            refused(f"new in {folder}", READ_ONLY, os.mkdir, f"{folder}/probe")
            for folder in folders
        ),
        refused("new", READ_ONLY, os.mkdir, "/sys/fs/cgroup/probe"),
    )


@probe("sees the control groups of others")
def other_groups() -> str:
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        paths = {line.rstrip("\n").split(":", 2)[2] for line in file}
    # gVisor shows the path of this container's group. Under runc, the cgroup namespace makes this group the root.
    mine = paths if is_gvisor() and len(paths) == 1 else {"/"}
    children = [
        entry.path
        for folder in os.scandir("/sys/fs/cgroup")
        if folder.is_dir()
        for entry in os.scandir(folder.path)
        if entry.is_dir()
    ]
    return every(demand(paths == mine, f"{paths}"), demand(not children, f"below: {children}"))


@probe("finds a file system of the host among its mounts")
def mounts() -> str:
    allowed = {
        "/",
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/sys",
        HOME,
        "/tmp",
    }
    of_engine = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
    socket_folder = "/run/cellhouse/socket"
    unexpected = []
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            source, point, kind, options, *_ = line.split()
            is_pseudo = kind in (
                "tmpfs",
                "proc",
                "sysfs",
                "devpts",
                "mqueue",
                "cgroup",
                "cgroup2",
                "overlay",
                "9p",
                "devtmpfs",
            )
            is_mask = point.startswith(("/proc/", "/sys/")) and kind != "9p"
            is_known = point in allowed | of_engine | {socket_folder} or is_mask
            if not is_known or (not is_pseudo and point not in of_engine | {socket_folder}):
                unexpected.append(line)
            if point in of_engine and "ro" not in options.split(","):
                unexpected.append(f"writable: {line}")
    return every(
        demand(not unexpected, f"{unexpected}"),
        *(refused(path, READ_ONLY, _write, path, b"x") for path in sorted(of_engine)),
        refused("the socket's folder", DENIED, os.listdir, socket_folder),
    )


@probe("follows a link from the home to where it may not go")
def links() -> str:
    targets = {
        "shadow": "/etc/shadow",
        "socket": "/run/cellhouse/socket/agent.sock",
        "init's root": "/proc/1/root/etc/shadow",
        "init's files": "/proc/1/cwd/etc/shadow",
        "docker": "/var/run/docker.sock",
        "host": "/var/lib/docker/containers",
        "up and out": "../../../../../../../../var/lib/docker/overlay2",
        "kernel": "/proc/kcore",
        "circle": f"{HOME}/link-circle",
    }
    seen = []
    for name, target in targets.items():
        link = f"{HOME}/link-{name.replace(' ', '-')}"
        os.symlink(target, link)
        try:
            seen.append(_closed(name, link))
        finally:
            os.unlink(link)
    return every(*seen)


def _closed(name: str, path: str) -> str:
    try:
        with open(path, "rb") as file:
            text = file.read(16)
    except OSError as error:
        if error.errno in (*DENIED, *ABSENT, ELOOP, EISDIR, EIO):
            return f"{name}: {error.strerror}"
        raise
    return demand(text == b"", f"{name}: {text!r}")


@probe("links a file of the system into the home, to change it there")
def hard_links() -> str:
    numbers = (*READ_ONLY, EXDEV)
    return every(
        refused("/etc/passwd", numbers, os.link, "/etc/passwd", f"{HOME}/hard-link"),
        refused(
            "/usr/bin/python3.13", numbers, os.link, "/usr/bin/python3.13", f"{HOME}/hard-link"
        ),
        refused("/etc/hosts", numbers, os.link, "/etc/hosts", f"{HOME}/hard-link"),
        refused("move /etc/passwd", numbers, os.rename, "/etc/passwd", f"{HOME}/moved"),
    )


@probe("puts something else in the place of the home or /tmp")
def replace_folders() -> str:
    numbers = (*READ_ONLY, EBUSY, EXDEV)
    return every(
        refused("remove the home", numbers, os.rmdir, HOME),
        refused("rename the home", numbers, os.rename, HOME, "/old"),
        refused("rename /tmp", numbers, os.rename, "/tmp", f"{HOME}/tmp"),
        refused("link at the home", (*numbers, 17), os.symlink, "/etc", HOME),
        refused("give the home to root", numbers, os.chown, HOME, 0, 0),
        *(
            refused(f"remove {link}", numbers, os.unlink, link)
            for link in ("/workspace", "/mnt/data")
        ),
        refused("close /tmp to others", numbers, os.chmod, "/tmp", 0o700),
    )


@probe("leaves by a folder that was left open")
def open_folders() -> str:
    """A descriptor of a host folder would lead past every mount (as in runc, CVE-2024-21626)."""
    seen = []
    for entry in os.listdir("/proc/self/fd"):
        number = int(entry)
        try:
            if not stat.S_ISDIR(os.fstat(number).st_mode):
                continue
            escaped = os.open("../../../../../../etc/hostname", os.O_RDONLY, dir_fd=number)
        except OSError as error:
            seen.append(f"{entry}: {error.strerror}")
            continue
        hostname = os.read(escaped, 256).decode().strip()
        seen.append(demand(hostname == os.uname().nodename, f"{entry}: {hostname}"))
    return every(*seen, "none leads out")


@probe("looks for files of the host by their paths")
def host_paths() -> str:
    paths = (
        "/var/lib/docker",
        "/var/run/docker.pid",
        "/host",
        "/rootfs",
        "/mnt/host",
        *PARAMETERS["host_paths"],
    )
    return every(*(refused(path, (*ABSENT, EACCES), os.stat, path) for path in paths))


@probe("reads or leaves something in the container's own log")
def container_log() -> str:
    """This fork of the kernel has the kernel's output, a pipe to the agent. The container's log is init's output."""
    for number in (1, 2):
        kind = stat.S_IFMT(os.fstat(number).st_mode)
        if kind not in (stat.S_IFIFO, stat.S_IFSOCK):
            raise Through(f"descriptor {number} of the kernel is {stat.S_IFMT(kind):o}")
    return every(
        refused("init's output", (*DENIED, ENOENT, ENOTDIR), _write, "/proc/1/fd/1", b"x"),
        refused("init's errors", (*DENIED, ENOENT, ENOTDIR), _write, "/proc/1/fd/2", b"x"),
        refused("console", (*DENIED, ENOENT, 6), _write, "/dev/console", b"x"),
    )
