"""Escapes by system calls: namespaces, mounts, devices, modules, and calls with a history of holes."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import stat
import struct
from errno import EINVAL, ENODEV, ENOSYS, ENOTTY, ENXIO, EPERM, errorcode
from fcntl import ioctl

from harness import (
    ABSENT,
    DENIED,
    HOME,
    IS_X86,
    LIBC,
    PERM,
    bytes_of,
    call,
    demand,
    every,
    in_child,
    is_gvisor,
    probe,
    refused,
)

CLONE_NEWUSER = 0x10000000
OTHER_NAMESPACES = {
    "time": 0x80,
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
AT_FDCWD = -100
TUNSETIFF = 0x400454CA
PTRACE_TRACEME = 0
PTRACE_ATTACH = 16
ADDR_NO_RANDOMIZE = 0x40000
PER_LINUX32 = 8


def _forked_by(name: str, *arguments: object) -> int:
    """A system call that forks; its child ends at once."""
    pid = call(name, *arguments)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@probe("makes a user namespace with unshare")
def unshare_user() -> str:
    return refused("unshare", PERM, call, "unshare", CLONE_NEWUSER)


@probe("makes a user namespace with clone")
def clone_user() -> str:
    return refused("clone", PERM, _forked_by, "clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)


@probe("makes a user namespace with clone3")
def clone3_user() -> str:
    arguments = struct.pack("=8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    return refused("clone3", (ENOSYS,), _forked_by, "clone3", arguments, len(arguments))


@probe("makes a namespace of any other kind")
def unshare_others() -> str:
    return every(
        *(refused(kind, PERM, call, "unshare", flag) for kind, flag in OTHER_NAMESPACES.items())
    )


@probe("enters a namespace, its own or init's")
def setns() -> str:
    def enter(path: str) -> int:
        return call("setns", os.open(path, os.O_RDONLY), 0)

    return every(
        refused("its own", PERM, enter, "/proc/self/ns/user"),
        *(
            refused(f"init's {kind}", DENIED, enter, f"/proc/1/ns/{kind}")
            for kind in ("mnt", "net")
        ),
    )


@probe("mounts, moves or takes away a file system")
def mounts() -> str:
    here = HOME.encode()
    return every(
        refused("mount", PERM, call, "mount", b"x", here, b"tmpfs", 0, 0),
        refused("bind", PERM, call, "mount", b"/", here, 0, 4096, 0),
        refused("remount", PERM, call, "mount", 0, b"/", 0, 32, 0),
        refused("umount2", PERM, call, "umount2", b"/proc/cmdline", 2),
        refused("fsopen", PERM, call, "fsopen", b"tmpfs", 0),
        refused("open_tree", PERM, call, "open_tree", AT_FDCWD, b"/", 1),
        refused("move_mount", PERM, call, "move_mount", AT_FDCWD, b"/tmp", AT_FDCWD, here, 0),
        refused("mount_setattr", PERM, call, "mount_setattr", AT_FDCWD, b"/", 0, bytes(32), 32),
    )


@probe("changes its root")
def change_root() -> str:
    return every(
        refused("chroot", PERM, call, "chroot", HOME.encode()),
        refused("pivot_root", PERM, call, "pivot_root", HOME.encode(), HOME.encode()),
    )


@probe("makes a device node")
def device_nodes() -> str:
    kinds = {"character": stat.S_IFCHR, "block": stat.S_IFBLK}
    return every(
        *(
            refused(f"{kind} in {folder}", PERM, os.mknod, f"{folder}/n", mode, os.makedev(1, 1))
            for kind, mode in kinds.items()
            for folder in (HOME, "/tmp", "/dev/shm")
        )
    )


@probe("opens a device of the host")
def devices() -> str:
    names = (
        "mem kmem port kmsg core kvm fuse loop-control loop0 sda vda nvme0n1 dm-0 mapper/control net/tun vhost-net "
        "vsock snapshot cpu/0/msr uinput input/event0 dri/card0 ttyS0 console rtc0 hpet"
    ).split()
    # gVisor makes two devices of its own that lead nowhere; see the next probe.
    made_by_gvisor = ("fuse", "net/tun") if is_gvisor() else ()
    numbers = (*DENIED, *ABSENT, ENXIO, ENODEV)
    return every(
        *(
            refused(name, numbers, os.open, f"/dev/{name}", os.O_RDWR)
            for name in names
            if name not in made_by_gvisor
        )
    )


@probe("makes a network interface or a file system with a device of gVisor's")
def emulated_devices() -> str:
    def tunnel() -> None:
        device = os.open("/dev/net/tun", os.O_RDWR)
        ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tun0", 1))

    def fuse() -> int:
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode=40000,user_id=64002,group_id=64002"
        return call("mount", b"x", HOME.encode(), b"fuse", 0, options.encode())

    return every(
        refused("tun", (*DENIED, *ABSENT, ENODEV, ENOTTY), tunnel),
        refused("fuse", (*DENIED, *ABSENT, ENODEV), fuse),
    )


@probe("loads or unloads a kernel module")
def modules() -> str:
    image = os.memfd_create("module")
    return every(
        refused("init_module", PERM, call, "init_module", bytes(64), 64, b""),
        refused("finit_module", PERM, call, "finit_module", image, b"", 0),
        refused("delete_module", PERM, call, "delete_module", b"overlay", 0),
    )


@probe("replaces, restarts or reconfigures the machine")
def machine() -> str:
    magic = (0xFEE1DEAD, 672274793)
    return every(
        refused("kexec_load", PERM, call, "kexec_load", 0, 0, 0, 0),
        refused("kexec_file_load", PERM, call, "kexec_file_load", 0, 0, 1, b"", 0),
        refused("reboot", PERM, call, "reboot", *magic, 0x89ABCDEF, 0),
        refused("swapon", PERM, call, "swapon", f"{HOME}/swap".encode(), 0),
        refused("swapoff", PERM, call, "swapoff", b"/swap"),
        refused("acct", PERM, call, "acct", f"{HOME}/acct".encode()),
        refused("quotactl", PERM, call, "quotactl", 0x800002 << 8, b"/dev/vda", 0, 0),
        refused("sethostname", PERM, call, "sethostname", b"x", 1),
        refused("setdomainname", PERM, call, "setdomainname", b"x", 1),
        refused("vhangup", PERM, call, "vhangup"),
    )


@probe("sets the machine's clock")
def clock() -> str:
    return every(
        refused("settimeofday", PERM, call, "settimeofday", bytes(16), 0),
        refused("clock_settime", PERM, call, "clock_settime", 0, bytes(16)),
        refused("adjtimex", PERM, call, "adjtimex", bytes(208)),
        refused("clock_adjtime", PERM, call, "clock_adjtime", 0, bytes(208)),
    )


@probe("reads the kernel's log")
def kernel_log() -> str:
    return every(
        refused("syslog", PERM, call, "syslog", 3, ctypes.create_string_buffer(4096), 4096),
        refused("size", PERM, call, "syslog", 10, 0, 0),
    )


@probe("loads a program into the kernel (bpf)")
def bpf() -> str:
    instructions = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQ104x", 1, 2, ctypes.addressof(instructions), ctypes.addressof(licence)
    )
    return every(
        refused("program", PERM, call, "bpf", 5, attributes, len(attributes)),
        refused("map", PERM, call, "bpf", 0, struct.pack("=4I112x", 2, 4, 4, 1), 128),
    )


@probe("watches the CPU (perf_event_open)")
def perf() -> str:
    attributes = struct.pack("=IIQ112x", 1, 128, 0)
    return every(
        refused("own process", PERM, call, "perf_event_open", attributes, 0, -1, -1, 0),
        refused("whole CPU", PERM, call, "perf_event_open", attributes, -1, 0, -1, 0),
    )


@probe("handles its own page faults (userfaultfd)")
def userfault() -> str:
    return every(
        refused("all", PERM, call, "userfaultfd", 0),
        refused("user mode only", PERM, call, "userfaultfd", 1),
    )


@probe("uses asynchronous I/O inside the kernel (io_uring, aio)")
def rings() -> str:
    ring = ctypes.create_string_buffer(120)
    context = ctypes.create_string_buffer(8)
    return every(
        refused("io_uring", PERM, call, "io_uring_setup", 8, ring),
        refused("aio", PERM, call, "io_setup", 8, context),
    )


@probe("uses the kernel's keyrings")
def keyrings() -> str:
    buffer = ctypes.create_string_buffer(4096)
    return every(
        refused("add_key", PERM, call, "add_key", b"user", b"probe", b"x", 1, -3),
        refused("request_key", PERM, call, "request_key", b"user", b"probe", 0, -3),
        refused("join a session", PERM, call, "keyctl", 1, 0),
        refused("describe the user's", PERM, call, "keyctl", 6, -4, buffer, 4096),
        refused("read the user session's", PERM, call, "keyctl", 11, -5, buffer, 4096),
    )


@probe("opens files by their handle, past every mount")
def file_handles() -> str:
    handle = ctypes.create_string_buffer(bytes_of(128) + bytes(132))
    mount = ctypes.create_string_buffer(8)
    root = os.open("/", os.O_RDONLY)
    # The handle of the root of most file systems: inode 2. In 2014, the exploit "shocker" left containers this way.
    shocker = struct.pack("=IiQ", 8, 1, 2)
    return every(
        refused("name", PERM, call, "name_to_handle_at", AT_FDCWD, b"/", handle, mount, 0),
        refused("open", PERM, call, "open_by_handle_at", root, shocker, 0),
    )


@probe("traces its own child")
def trace_child() -> str:
    def trace_me() -> int:
        return call("ptrace", PTRACE_TRACEME, 0, 0, 0)

    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        local = ctypes.create_string_buffer(8)
        vector = struct.pack("=QQ", ctypes.addressof(local), 8)
        attach = refused("attach", PERM, call, "ptrace", PTRACE_ATTACH, pid, 0, 0)
        read = refused("read", PERM, call, "process_vm_readv", pid, vector, 1, vector, 1, 0)
        write = refused("write", PERM, call, "process_vm_writev", pid, vector, 1, vector, 1, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    code = in_child(trace_me)
    return every(
        attach, read, write, demand(code == EPERM, f"trace me: {errorcode.get(code, code)}")
    )


@probe("keeps memory in the kernel past the end of its processes (System V, message queues)")
def kernel_memory() -> str:
    return every(
        refused("shared memory", PERM, call, "shmget", 0, 1 << 20, 0o1600),
        refused("semaphores", PERM, call, "semget", 0, 1, 0o1600),
        refused("messages", PERM, call, "msgget", 0, 0o1600),
        refused("queue", PERM, call, "mq_open", b"probe", os.O_CREAT | os.O_RDWR, 0o600, 0),
        refused(
            "queue as a file",
            (*DENIED, *ABSENT, 30),
            os.open,
            "/dev/mqueue/probe",
            os.O_CREAT | os.O_RDWR,
        ),
    )


@probe("makes calls that only other programs need")
def odd_calls() -> str:
    own = os.getpid()
    here = ctypes.create_string_buffer(8)
    pipe = os.pipe()
    vector = struct.pack("=QQ", ctypes.addressof(here), 8)
    return every(
        refused("kcmp", PERM, call, "kcmp", own, own, 0, 0, 0),
        refused("pidfd_getfd", PERM, call, "pidfd_getfd", -1, 0, 0),
        refused("process_madvise", PERM, call, "process_madvise", -1, vector, 1, 4, 0),
        refused("process_mrelease", PERM, call, "process_mrelease", -1, 0),
        refused("migrate_pages", PERM, call, "migrate_pages", own, 0, 0, 0),
        refused("remap_file_pages", PERM, call, "remap_file_pages", 0, 0, 0, 0, 0),
        refused("memfd_secret", PERM, call, "memfd_secret", 0),
        refused("vmsplice", PERM, call, "vmsplice", pipe[1], vector, 1, 0),
        refused("fanotify_init", PERM, call, "fanotify_init", 0, 0),
        refused("fanotify_mark", PERM, call, "fanotify_mark", -1, 0, 0, -1, b"/"),
        refused("landlock", PERM, call, "landlock_create_ruleset", 0, 0, 1),
        refused("sync", PERM, call, "sync"),
        refused("syncfs", PERM, call, "syncfs", pipe[0]),
        refused("inotify", PERM, call, "inotify_init1", 0),
        refused("seccomp", PERM, call, "seccomp", 3, 0, bytes(6)),
        refused("personality: fixed addresses", PERM, call, "personality", ADDR_NO_RANDOMIZE),
        refused("personality: 32 bits", PERM, call, "personality", PER_LINUX32),
    )


@probe("touches the CPU's ports and segments")
def ports() -> str:
    numbers = PERM if IS_X86 else (ENOSYS,)
    return every(
        refused("iopl", numbers, call, "iopl", 3),
        refused("ioperm", numbers, call, "ioperm", 0x80, 1, 1),
        refused("modify_ldt", numbers, call, "modify_ldt", 0, bytes(64), 64),
    )


@probe("makes calls as a 32-bit or x32 program, past the filter of 64-bit ones")
def other_abis() -> str:
    if not IS_X86:
        return "arm64: the processor runs 32-bit programs only as such"
    # mov eax, 20; int 0x80; ret. Call 20 is getpid for 32-bit programs. For 64-bit programs, call 20 is allowed.
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000" "cd80" "c3"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))

    def old_call() -> None:
        if ctypes.CFUNCTYPE(ctypes.c_int)(address)() <= 0:
            raise OSError(EPERM, "refused")

    ended = in_child(old_call)
    died = (-signal.SIGSYS, -signal.SIGSEGV, -signal.SIGILL, -signal.SIGTRAP, EPERM)
    x32 = in_child(_x32_getpid)
    return every(
        demand(ended in died, f"int 0x80: ended with {ended}"),
        demand(x32 != 0, f"x32: ended with {x32}"),
    )


def _x32_getpid() -> None:
    """getpid with the bit that makes it an x32 call; a filter may end the process for it."""
    if LIBC.syscall(ctypes.c_long(0x40000000 | 39)) == -1:
        raise OSError(ctypes.get_errno() or EINVAL, "refused")
