/** Defines the sandbox: what a worker's container may and may not do. Every line is a defence. */
import type Docker from 'dockerode';
import { WORKER_HOME, type WorkerLimits } from '../../domain/worker.ts';
import type { CpuShare, WorkerSpec } from '../runtime.ts';
import { seccompProfile } from './seccompProfile.ts';

/** The label that holds the pool's id. Containers without it are never touched. */
export const POOL_LABEL = 'cellhouse.pool';
export const WORKER_LABEL = 'cellhouse.worker';

const MIB = 1024 * 1024;
/** Just enough for the many shared objects and files of a data frame library. */
const MAX_OPEN_FILES = 1024;
/** A worker's log holds only a few lines of the agent. The limit bounds what a bug could write to the host's disk. */
const LOG_LIMITS = { 'max-size': '1m', 'max-file': '1' } as const;
/** The agent needs these to start the kernel as another user and to signal it. The kernel itself keeps none of them. */
const AGENT_CAPABILITIES = ['SETUID', 'SETGID', 'SETPCAP', 'KILL'];

/**
 * Limit of a core dump, in bytes. It prevents dumps, but must not be 0: if the host pipes dumps to a program, Linux
 * starts that program even for a limit of 0, but not for 1. The seccomp profile prevents changing it.
 */
const CORE_LIMIT = 1;
/** When the host runs out of memory, workers are killed before the gateway and its database. */
const OOM_SCORE = 500;

const MASKED_IN_PROC =
  'acpi asound buddyinfo bus cmdline config.gz diskstats driver fs interrupts iomem ioports kallsyms kcore keys kmsg ' +
  'kpagecgroup kpagecount kpageflags latency_stats modules pagetypeinfo partitions pressure sched_debug schedstat scsi ' +
  'slabinfo softirqs swaps sysrq-trigger sysvipc timer_list timer_stats vmallocinfo zoneinfo';
const MASKED_IN_SYS =
  'block bus class dev devices/virtual firmware fs/bpf fs/ext4 fs/pstore hypervisor kernel module power';
/**
 * Paths hidden from the container: those that Docker hides by default, those that reveal the host or its other
 * containers, and message queues, which would outlive the process that fills them.
 */
const MASKED_PATHS = [
  ...MASKED_IN_PROC.split(' ').map((name) => `/proc/${name}`),
  ...MASKED_IN_SYS.split(' ').map((name) => `/sys/${name}`),
  '/dev/mqueue',
];

/** Most files in each tmpfs. Even an empty file costs about 1 KiB of memory, which `size` does not count. */
const MAX_FILES = 65_536;

/**
 * gVisor dies as a whole when the host refuses it a thread. So the limit on user processes is enforced inside the
 * sandbox (CELLHOUSE_PIDS), and the host's limit on tasks is higher than such processes can need. Measured: 126
 * sleeping processes took 290 tasks of the host, 126 busy ones 123.
 */
const HOST_TASKS_PER_PROCESS = 4;
/** gVisor's own threads; an idle sandbox has about thirty. */
const SANDBOX_TASKS = 256;
/** An idle worker takes nearly this much more memory under gVisor than under runc (`npm run bench -- isolation`). */
const SANDBOX_MEMORY_MB = 128;

/**
 * The CPU shares of a worker: normally `full`, and `yielding` while a long execution runs in it. Every worker gets
 * `full` explicitly, because the engine cannot unset a share. So a worker whose share was lowered and restored equals
 * all others (docs/decisions/0016-floods-make-way.md).
 */
export const CPU_SHARES = { full: 1_024, yielding: 256 } as const satisfies Record<
  CpuShare,
  number
>;

/** Where the worker's socket folder is mounted. User code cannot enter its parent folder. */
const AGENT_SOCKET_MOUNT = '/run/cellhouse/socket';

/** The home belongs to the image's user. Otherwise programs would distrust it, as git does. */
const OWNED_BY_USER = 'uid=64002,gid=64002,mode=0700';

/** Docker's create options for one worker. @param socketFolder the folder on the host for the agent's socket */
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
    HostConfig: {
      Runtime: ociRuntime,
      ...isolationOptions(socketFolder),
      ...resources(spec, isSandboxed),
    },
  };
}

/** The options that limit what a worker sees and may do. */
function isolationOptions(
  socketFolder: string,
): Docker.HostConfig & { readonly CgroupnsMode: 'private' } {
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

/**
 * The options that limit a worker's resources. Files in a tmpfs count as memory, so the disk limit is added to the
 * memory limit: a full disk must cause ENOSPC, never an OOM kill.
 */
function resources(spec: WorkerSpec, isSandboxed: boolean): Docker.HostConfig {
  const { diskMb, cpus, pids } = spec.limits;
  const memoryBytes = limitMb(spec.limits, isSandboxed) * MIB;
  const homeMb = Math.floor(diskMb / 2);
  const tmpMb = Math.floor(diskMb / 4);
  const shmMb = diskMb - homeMb - tmpMb;
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
      [WORKER_HOME]: `rw,nosuid,nodev,exec,${OWNED_BY_USER},${tmpfsLimits(homeMb)}`,
      '/tmp': `rw,nosuid,nodev,exec,mode=1777,${tmpfsLimits(tmpMb)}`,
      '/dev/shm': `rw,nosuid,nodev,noexec,mode=1777,${tmpfsLimits(shmMb)}`,
    },
  };
}

function limitMb({ memoryMb, diskMb }: WorkerLimits, isSandboxed: boolean): number {
  return memoryMb + diskMb + (isSandboxed ? SANDBOX_MEMORY_MB : 0);
}

/** The most memory that a worker can take of the machine, with its files, in MiB. */
export function workerMemoryMb(limits: WorkerLimits, ociRuntime: string): number {
  return limitMb(limits, isGvisor(ociRuntime));
}

function tmpfsLimits(sizeMb: number): string {
  return `size=${sizeMb}m,nr_inodes=${MAX_FILES}`;
}

/** Whether the OCI runtime is gVisor: `runsc`, or a name that begins with it, such as `runsc-debug`. */
export function isGvisor(ociRuntime: string): boolean {
  return /^runsc\b/.test(ociRuntime);
}
