/**
 * The cell itself: what a worker's container may and may not do. Every line is a defence.
 */
import type Docker from 'dockerode';
import type { CpuShare, WorkerSpec } from '../runtime.ts';
import { seccompProfile } from './seccompProfile.ts';

/** Label that holds the pool's id; only containers that bear it are ever touched. */
export const POOL_LABEL = 'cellhouse.pool';
export const WORKER_LABEL = 'cellhouse.worker';

const MIB = 1024 * 1024;
/** Enough for a data frame library's many shared objects and files, and no more. */
const MAX_OPEN_FILES = 1024;
/** A worker's log holds only the agent's few lines; this bounds what a bug could write to the host's disk. */
const LOG_LIMITS = { 'max-size': '1m', 'max-file': '1' } as const;
/** The agent needs them to start a kernel under another user and to signal it; the kernel ends with none. */
const AGENT_CAPABILITIES = ['SETUID', 'SETGID', 'SETPCAP', 'KILL'];

/**
 * Bytes of a core dump: none. Not 0: where the host pipes dumps to a program of its own, Linux starts that program for
 * a limit of 0 too, and only for 1 never. The seccomp profile keeps it there.
 */
const CORE_LIMIT = 1;
/** When the host itself is short of memory, workers go before the gateway and its database. */
const OOM_SCORE = 500;

const MASKED_IN_PROC =
  'acpi asound buddyinfo bus cmdline config.gz diskstats driver fs interrupts iomem ioports kallsyms kcore keys kmsg ' +
  'kpagecgroup kpagecount kpageflags latency_stats modules pagetypeinfo partitions pressure sched_debug schedstat scsi ' +
  'slabinfo softirqs swaps sysrq-trigger sysvipc timer_list timer_stats vmallocinfo zoneinfo';
const MASKED_IN_SYS =
  'block bus class dev devices/virtual firmware fs/bpf fs/ext4 fs/pstore hypervisor kernel module power';
/**
 * Hidden: what Docker hides by default, what tells of the host and its other containers, and message queues, which would
 * outlive the process that fills them.
 */
const MASKED_PATHS = [
  ...MASKED_IN_PROC.split(' ').map((name) => `/proc/${name}`),
  ...MASKED_IN_SYS.split(' ').map((name) => `/sys/${name}`),
  '/dev/mqueue',
];

/** Of each tmpfs. A file costs about 1 KiB of memory even if empty, which `size` does not count. */
const MAX_FILES = 65_536;

/**
 * gVisor ends as a whole when the host refuses it a thread, so the limit on user code is set inside (CELLHOUSE_PIDS), and
 * the host's is above what that can need: 126 sleeping processes were seen to take 290 of the host's, 126 busy ones 123.
 */
const HOST_TASKS_PER_PROCESS = 4;
/** gVisor's own threads; an idle sandbox has about thirty. */
const SANDBOX_TASKS = 256;
/** What an idle worker takes in gVisor beyond what it takes under runc: about 110 MiB were seen. */
const SANDBOX_MEMORY_MB = 128;

/**
 * Of a worker, and of one whose code has run for long. Named for every worker, so that one whose share was changed and given back is
 * like all others: the engine cannot take a name away again (docs/decisions/0016-floods-make-way.md).
 */
export const CPU_SHARES = { full: 1_024, yielding: 256 } as const satisfies Record<
  CpuShare,
  number
>;

/** Where the worker's socket folder is mounted; its parent is closed to user code. */
const AGENT_SOCKET_MOUNT = '/run/cellhouse/socket';

/** Docker's create options for one worker. @param socketFolder where its agent's socket is to be */
export function containerSpec(
  spec: WorkerSpec,
  socketFolder: string,
  ociRuntime: string,
): Docker.ContainerCreateOptions {
  const isSandboxed = isGvisor(ociRuntime);
  const environment = {
    ...spec.environment,
    ...(isSandboxed ? { CELLHOUSE_PIDS: String(spec.limits.pids) } : {}),
  };
  return {
    name: spec.name,
    Image: spec.imageId,
    Labels: { [POOL_LABEL]: spec.poolId, [WORKER_LABEL]: spec.workerId },
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    HostConfig: { Runtime: ociRuntime, ...walls(socketFolder), ...resources(spec, isSandboxed) },
  };
}

/** What a worker sees and may do. */
function walls(socketFolder: string): Docker.HostConfig & { readonly CgroupnsMode: 'private' } {
  return {
    NetworkMode: 'none',
    IpcMode: 'private',
    CgroupnsMode: 'private',
    ReadonlyRootfs: true,
    Binds: [`${socketFolder}:${AGENT_SOCKET_MOUNT}`],
    MaskedPaths: MASKED_PATHS,
    CapDrop: ['ALL'],
    CapAdd: AGENT_CAPABILITIES,
    SecurityOpt: ['no-new-privileges', `seccomp=${seccompProfile()}`],
    LogConfig: { Type: 'json-file', Config: { ...LOG_LIMITS } },
    RestartPolicy: { Name: 'no' },
  };
}

/** Files in a tmpfs count as memory, so the disk's share comes on top: a full disk must say ENOSPC, never OOM. */
function resources(spec: WorkerSpec, isSandboxed: boolean): Docker.HostConfig {
  const { memoryMb, diskMb, cpus, pids } = spec.limits;
  const memoryBytes = (memoryMb + diskMb + (isSandboxed ? SANDBOX_MEMORY_MB : 0)) * MIB;
  const workspaceMb = Math.floor(diskMb / 2);
  const tmpMb = Math.floor(diskMb / 4);
  const shmMb = diskMb - workspaceMb - tmpMb;
  return {
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    NanoCpus: Math.round(cpus * 1e9),
    CpuShares: CPU_SHARES.full,
    Ulimits: [
      { Name: 'nofile', Soft: MAX_OPEN_FILES, Hard: MAX_OPEN_FILES },
      { Name: 'core', Soft: CORE_LIMIT, Hard: CORE_LIMIT },
    ],
    OomScoreAdj: OOM_SCORE,
    PidsLimit: isSandboxed ? pids * HOST_TASKS_PER_PROCESS + SANDBOX_TASKS : pids,
    Tmpfs: {
      '/workspace': `rw,nosuid,nodev,exec,${tmpfsLimits(workspaceMb)}`,
      '/tmp': `rw,nosuid,nodev,exec,${tmpfsLimits(tmpMb)}`,
      '/dev/shm': `rw,nosuid,nodev,noexec,${tmpfsLimits(shmMb)}`,
    },
  };
}

function tmpfsLimits(sizeMb: number): string {
  return `mode=1777,size=${sizeMb}m,nr_inodes=${MAX_FILES}`;
}

/** Whether that OCI runtime is gVisor, under its own name or one that begins so (`runsc-debug`). */
export function isGvisor(ociRuntime: string): boolean {
  return /^runsc\b/.test(ociRuntime);
}
