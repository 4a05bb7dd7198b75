/** The walls of a worker, asked from inside a real one: by code that runs in its kernel, as a user's code does. */
import { version } from 'node:os';
import { z } from 'zod';
import type { WorkerLimits } from '../domain/worker.ts';
import { isGvisor, workerMemoryMb } from '../runtime/docker/containerSpec.ts';
import { type Finding, failure, ok } from './finding.ts';

/** Prints what it sees as JSON. It changes nothing: the file that it tries to make must be refused. */
export const WALLS_CODE = `
import ctypes, json, os, resource, socket

PR_GET_NO_NEW_PRIVS = 39

def content(*paths):
    for path in paths:
        try:
            with open(path) as file:
                return file.read().strip()
        except OSError:
            pass

def can_write(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        return True
    except OSError:
        return False

status = dict(line.split(':', 1) for line in content('/proc/self/status').splitlines() if ':' in line)
print(json.dumps({
    'uid': os.getuid(),
    'capabilities': [status.get(name, '0').strip() for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')],
    # gVisor does not show this flag in the file, but answers this call.
    'noNewPrivs': status.get('NoNewPrivs', '').strip() or str(ctypes.CDLL(None).prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)),
    'seccomp': status.get('Seccomp', '').strip(),
    'interfaces': [name for _, name in socket.if_nameindex()],
    'isRootWritable': can_write('/cellhouse-doctor') or can_write('/usr/cellhouse-doctor'),
    'memory': content('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'),
    'pids': content('/sys/fs/cgroup/pids.max', '/sys/fs/cgroup/pids/pids.max'),
    'openFiles': resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    'kernel': os.uname().version,
}))
`;

const seenSchema = z.object({
  uid: z.number(),
  capabilities: z.array(z.string()),
  noNewPrivs: z.string(),
  seccomp: z.string(),
  interfaces: z.array(z.string()),
  isRootWritable: z.boolean(),
  memory: z.string().nullable(),
  pids: z.string().nullable(),
  openFiles: z.number(),
  kernel: z.string(),
});
export type SeenWalls = z.infer<typeof seenSchema>;

/** @throws Error if the code did not print what it should */
export function parseWalls(printed: string): SeenWalls {
  return seenSchema.parse(JSON.parse(printed));
}

const MIB = 1024 ** 2;
/** `Seccomp` in /proc/self/status: a filter is in force. */
const FILTER = '2';
/** See `containerSpec`. */
const MAX_OPEN_FILES = 1_024;

/** Pure. @param hostKernel the version of the Linux that the engine runs on, as uname gives it */
export function judgeWalls(
  seen: SeenWalls,
  { limits, ociRuntime }: { readonly limits: WorkerLimits; readonly ociRuntime: string },
  hostKernel = version(),
): Finding[] {
  const isSandboxed = isGvisor(ociRuntime);
  // gVisor has control groups and a filter of its own, which do not show inside.
  const outer: readonly [boolean, string][] = isSandboxed
    ? []
    : [
        [seen.seccomp === FILTER, 'no filter of system calls (seccomp)'],
        [
          isAtMost(seen.memory, workerMemoryMb(limits, ociRuntime) * MIB),
          `no limit of memory (${seen.memory ?? 'not known'})`,
        ],
        [isAtMost(seen.pids, limits.pids), `no limit of processes (${seen.pids ?? 'not known'})`],
      ];
  const walls: readonly [boolean, string][] = [
    [seen.uid !== 0, 'its code runs as root'],
    [
      seen.capabilities.every((set) => /^0+$/.test(set)),
      `its code has capabilities (${seen.capabilities.join(' ')})`,
    ],
    [seen.noNewPrivs === '1', 'its code can gain privileges (no_new_privs is off)'],
    [
      seen.interfaces.every((name) => name === 'lo'),
      `it has a network (${seen.interfaces.join(', ')})`,
    ],
    [!seen.isRootWritable, 'its system can be written to'],
    [seen.openFiles <= MAX_OPEN_FILES, `it may open ${seen.openFiles} files`],
    ...outer,
  ];
  const findings = [
    ...walls.flatMap(([stands, what]) => (stands ? [] : [failure('wallMissing', what)])),
    ...(isSandboxed && seen.kernel === hostKernel ? [failure('notUnderGvisor', ociRuntime)] : []),
  ];
  const fine = `Code in a worker has no privilege, no network and no writable system. Its limits hold. Runtime: ${ociRuntime}.`;
  return findings.length > 0 ? findings : [ok('walls', fine)];
}

/** Version 2 of control groups writes `max` if there is no limit. */
function isAtMost(limit: string | null, most: number): boolean {
  return limit !== null && Number(limit) <= most;
}
