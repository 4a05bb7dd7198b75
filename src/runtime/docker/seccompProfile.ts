/**
 * The system calls that a worker may make, as a Docker seccomp profile. All others are refused with EPERM, but clone3
 * with ENOSYS. Under gVisor (`--oci-seccomp`), gVisor's kernel applies the profile to the system calls of user code.
 *
 * It is based on Docker's default profile for a container without CAP_SYS_ADMIN, minus everything that numerical Python
 * with threads, processes and local sockets does not need. docs/internals/security.md, "System calls", lists what was
 * removed and why.
 */

/** Common calls, allowed with any arguments. */
const FILES =
  'access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 ' +
  'fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr ' +
  'fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr ioctl lchown lgetxattr link ' +
  'linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat open openat openat2 pread64 ' +
  'preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat ' +
  'renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync_file_range tee truncate umask ' +
  'unlink unlinkat utime utimensat utimes write writev';
const WAITING =
  'epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex futex_requeue ' +
  'futex_wait futex_waitv futex_wake get_robust_list pause pipe pipe2 poll ppoll pselect6 select set_robust_list ' +
  'signalfd signalfd4';
const MEMORY =
  'brk cachestat madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap ' +
  'mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect';
const PROCESSES =
  'arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid ' +
  'getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ' +
  'ioprio_set kill pidfd_open pidfd_send_signal prctl riscv_flush_icache rseq sched_get_priority_max ' +
  'sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval ' +
  'sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_tid_address setfsgid setfsuid ' +
  'setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setsid setuid tgkill tkill vfork wait4 ' +
  'waitid';
const SIGNALS =
  'rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait ' +
  'rt_tgsigqueueinfo restart_syscall sigaltstack';
const TIME =
  'alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time timer_create ' +
  'timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times';
const SOCKETS =
  'accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg ' +
  'sendto setsockopt shutdown';
const MACHINE = 'getrandom sysinfo uname';
/**
 * Only the file helper uses these calls. Kernels and commands give them up (`forbid_inotify`,
 * cellhouse_kernel/privileges.py).
 */
const WATCHING = 'inotify_add_watch inotify_init1 inotify_rm_watch';

/** <sys/socket.h>, <netinet/in.h>, <linux/netlink.h> */
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
/** The bits of socket(2)'s second argument that are the type. The other bits of the argument are flags. */
const SOCK_TYPE_MASK = 0xf;
const ANY_PROTOCOL = 0;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
/** <sys/stat.h> */
const S_IFMT = 0o170000;
const S_IFIFO = 0o010000;
/** <sys/resource.h> */
const RLIMIT_CORE = 4;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of <sched.h>. */
const NEW_NAMESPACES = 0x7e02_0000;
/** With this argument personality(2) only returns the current value. */
const ASK_PERSONALITY = 0xffff_ffff;

type Argument = Readonly<{ index: number; op: string; value: number; valueTwo?: number }>;
interface Rule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_TRACE';
  readonly args?: readonly Argument[];
}

/** The profile as JSON, for the container's security option `seccomp=`. */
export function seccompProfile(): string {
  return JSON.stringify({
    defaultAction: 'SCMP_ACT_ERRNO',
    // Only native calls are allowed. Nothing in the image uses the calls of 32-bit programs or x32.
    archMap: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64', 'SCMP_ARCH_RISCV64'].map((architecture) => ({
      architecture,
      subArchitectures: [],
    })),
    syscalls: [
      allow(
        [FILES, WAITING, MEMORY, PROCESSES, SIGNALS, TIME, SOCKETS, MACHINE, WATCHING].join(' '),
      ),
      ...socketRules(),
      // Only FIFOs. (A device would need a capability as well.)
      allow('mknod', masked(1, S_IFMT, S_IFIFO)),
      allow('mknodat', masked(2, S_IFMT, S_IFIFO)),
      allow('personality', equal(0, 0)),
      allow('personality', equal(0, ASK_PERSONALITY)),
      // The limit on core dumps must not change: even for a limit of 0, Linux would start the host's crash handler (see
      // CORE_LIMIT in containerSpec.ts).
      allow('setrlimit', { index: 0, op: 'SCMP_CMP_NE', value: RLIMIT_CORE }),
      allow('prlimit64', { index: 1, op: 'SCMP_CMP_NE', value: RLIMIT_CORE }),
      allow('prlimit64', equal(2, 0)),
      allow('clone', masked(0, NEW_NAMESPACES, 0)),
      // A filter cannot read the flags of clone3. Without a tracer this action returns ENOSYS, and then the C library
      // uses clone. An ERRNO action would not do, because gVisor always returns EPERM for it.
      { names: ['clone3'], action: 'SCMP_ACT_TRACE' },
    ],
  });
}

/** Allows Unix, TCP and UDP sockets, and the netlink socket that lists interfaces. Others could load kernel modules. */
function socketRules(): Rule[] {
  const type = (kind: number) => masked(1, SOCK_TYPE_MASK, kind);
  const internet = [AF_INET, AF_INET6].flatMap((family) =>
    [
      { kind: SOCK_STREAM, protocol: ANY_PROTOCOL },
      { kind: SOCK_STREAM, protocol: IPPROTO_TCP },
      { kind: SOCK_DGRAM, protocol: ANY_PROTOCOL },
      { kind: SOCK_DGRAM, protocol: IPPROTO_UDP },
    ].map(({ kind, protocol }) =>
      allow('socket', equal(0, family), type(kind), equal(2, protocol)),
    ),
  );
  return [
    allow('socket socketpair', equal(0, AF_UNIX)),
    allow('socket', equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)),
    ...internet,
  ];
}

/** Allows the calls if all `args` hold. */
function allow(names: string, ...args: readonly Argument[]): Rule {
  return { names: names.split(' '), action: 'SCMP_ACT_ALLOW', ...(args.length > 0 && { args }) };
}

function equal(index: number, value: number): Argument {
  return { index, op: 'SCMP_CMP_EQ', value };
}

/** Whether `argument & mask` is `value`. */
function masked(index: number, mask: number, value: number): Argument {
  return { index, op: 'SCMP_CMP_MASKED_EQ', value: mask, valueTwo: value };
}
