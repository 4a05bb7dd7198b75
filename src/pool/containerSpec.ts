/**
 * The cell itself: what a worker's container may and may not do. Every line is a defence.
 */
import type Docker from 'dockerode';
import type { WorkerSpec } from './runtime.ts';

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

/** Of each tmpfs. A file costs about 1 KiB of memory even if empty, which `size` does not count. */
const MAX_FILES = 65_536;

/**
 * gVisor ends as a whole when the host refuses it a thread, so the limit on user code is set inside (CELLHOUSE_PIDS), and
 * the host's is above what that can need: 126 sleeping processes were seen to take 290 of the host's, 126 busy ones 123.
 */
const HOST_TASKS_PER_PROCESS = 4;
/** gVisor's own threads; an idle sandbox has about thirty. */
const SANDBOX_TASKS = 256;

/** Where the worker's socket folder is mounted; its parent is closed to user code. */
const AGENT_SOCKET_MOUNT = '/run/cellhouse/socket';

/** Docker's create options for one worker. */
export function containerSpec(spec: WorkerSpec, ociRuntime: string): Docker.ContainerCreateOptions {
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
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      CapAdd: AGENT_CAPABILITIES,
      SecurityOpt: ['no-new-privileges'],
      Binds: [`${spec.socketDir}:${AGENT_SOCKET_MOUNT}`],
      LogConfig: { Type: 'json-file', Config: { ...LOG_LIMITS } },
      Ulimits: [
        { Name: 'nofile', Soft: MAX_OPEN_FILES, Hard: MAX_OPEN_FILES },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      IpcMode: 'private',
      RestartPolicy: { Name: 'no' },
      ...resources(spec, isSandboxed),
    },
  };
}

/** Files in a tmpfs count as memory, so the disk's share comes on top: a full disk must say ENOSPC, never OOM. */
function resources(spec: WorkerSpec, isSandboxed: boolean): Docker.HostConfig {
  const { memoryMb, diskMb, cpus, pids } = spec.limits;
  const memoryBytes = (memoryMb + diskMb) * MIB;
  const workspaceMb = Math.floor(diskMb / 2);
  const tmpMb = Math.floor(diskMb / 4);
  const shmMb = diskMb - workspaceMb - tmpMb;
  return {
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    NanoCpus: Math.round(cpus * 1e9),
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
function isGvisor(ociRuntime: string): boolean {
  return /^runsc\b/.test(ociRuntime);
}
