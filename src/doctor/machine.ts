/**
 * What doctor asks of the machine: disks, backups, lost history, memory, clock, Node, limits, permissions. Nothing is
 * changed.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Config } from '../config/config.ts';
import { hasCode, messageOf } from '../domain/errors.ts';
import { lastBackup, lostHistory, tokenPath } from '../process/dataDir.ts';
import { isGvisor, workerMemoryMb } from '../runtime/docker/containerSpec.ts';
import { workerLimits } from '../runtime/runtime.ts';
import { type Finding, failure, ok, sizeOf, unknown, warning } from './finding.ts';

const MIB = 1024 ** 2;

// Disks.

/** PostgreSQL writes its log in pieces of 16 MiB, and stops when there is no room for the next ones. */
const FULL_BYTES = 200 * MIB;
/** A busy installation fills this in a day (docs/run/sizing.md), an image takes about as much. */
const LOW_BYTES = 3 * 1024 * MIB;
/** A folder and a socket for each worker, or the files of DATA_DIR without a database. */
const SMALL_BYTES = MIB;
/** Each worker, each file of PostgreSQL and each layer of an image needs some inodes. */
const FEW_FILES = 1_000;

interface Disk {
  readonly name: string;
  readonly path: string;
  readonly fullBytes: number;
  readonly lowBytes: number;
}

/** @param engineRoot the engine's data root. Null if the engine does not answer */
export async function checkDisks(
  { dataDir, socketDir, databaseUrl }: Pick<Config, 'dataDir' | 'socketDir' | 'databaseUrl'>,
  engineRoot: string | null,
): Promise<Finding[]> {
  const large = { fullBytes: FULL_BYTES, lowBytes: LOW_BYTES };
  const small = { fullBytes: SMALL_BYTES, lowBytes: SMALL_BYTES };
  const findings = [
    await checkDisk({
      ...{ name: 'DATA_DIR', path: await existing(dataDir) },
      ...(databaseUrl === null ? large : small),
    }),
    await checkDisk({ name: 'SOCKET_DIR', path: await existing(socketDir), ...small }),
  ];
  if (engineRoot === null) return findings;
  const path = await stat(engineRoot).catch(() => null);
  const why = `The engine's disk, ${engineRoot}, cannot be seen from here. Run doctor on the engine's machine.`;
  return [
    ...findings,
    path === null
      ? unknown('disks', why)
      : await checkDisk({ name: 'the engine', path: engineRoot, ...large }),
  ];
}

async function checkDisk({ name, path, fullBytes, lowBytes }: Disk): Promise<Finding> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  const free = bavail * bsize;
  const what = `${name} (${path})`;
  if (files > 0 && ffree < FEW_FILES) return failure('diskFull', what, `room for ${ffree} files`);
  if (free < fullBytes) return failure('diskFull', what, sizeOf(free));
  if (free < lowBytes) return warning('diskLow', what, sizeOf(free));
  return ok('disks', `The disk of ${what} has ${sizeOf(free)} free.`);
}

/** The path, or the nearest folder above it that exists. */
async function existing(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    (error: unknown) => !hasCode(error, 'ENOENT'),
  );
  return isThere || path === dirname(path) ? path : await existing(dirname(path));
}

// Backups.

const MS_PER_H = 3_600_000;
/** A nightly backup may have failed once. */
const OLD_BACKUP_MS = 48 * MS_PER_H;

/** Doctor sees only backups by `cellhouse backup`, which are of the embedded database. */
export function checkBackup(
  { dataDir, databaseUrl }: Pick<Config, 'dataDir' | 'databaseUrl'>,
  now: Date,
): Finding {
  if (databaseUrl !== null)
    return unknown(
      'backup',
      'Not checked: doctor cannot see backups of the PostgreSQL in DATABASE_URL.',
    );
  const last = lastBackup(dataDir);
  if (last === null) return warning('backupNone');
  const ageMs = now.getTime() - last.madeAt.getTime();
  const hours = Math.round(ageMs / MS_PER_H);
  if (ageMs > OLD_BACKUP_MS) return warning('backupOld', hours, last.path);
  return ok('backup', `The last backup is ${hours} h old: ${last.path}`);
}

// History.

/** Whether a gateway on this DATA_DIR has seen events that the database no longer has. */
export function checkHistory(dataDir: string): Finding {
  const lost = lostHistory(dataDir);
  return lost === null
    ? ok('history', 'No gateway on this DATA_DIR has found that the database lost events.')
    : warning('lostHistory', lost.foundAt.toISOString(), lost.file, lost.message);
}

// Memory.

/** An idle worker with numpy, pandas and matplotlib (docs/run/sizing.md). */
const IDLE_WORKER_MB = 132;
/** What gVisor adds to an idle worker (docs/run/isolation.md). */
const IDLE_GVISOR_MB = 110;
/** A gateway and PostgreSQL (docs/run/sizing.md). */
const GATEWAY_MB = 1_024;

export interface Memory {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

export async function checkMemory(config: Config): Promise<Finding[]> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
  return judgeMemory(config, {
    totalBytes: bytes('MemTotal'),
    availableBytes: bytes('MemAvailable'),
  });
}

/** Pure. */
export function judgeMemory(config: Config, { totalBytes, availableBytes }: Memory): Finding[] {
  const { dockerRuntime, minIdleWorkers, maxTotalWorkers } = config;
  const idleMb = IDLE_WORKER_MB + (isGvisor(dockerRuntime) ? IDLE_GVISOR_MB : 0);
  const idleBytes = minIdleWorkers * idleMb * MIB;
  const allBytes = maxTotalWorkers * workerMemoryMb(workerLimits(config), dockerRuntime) * MIB;
  const total = sizeOf(totalBytes);
  if (idleBytes + GATEWAY_MB * MIB > totalBytes)
    return [failure('memoryIdle', sizeOf(idleBytes), total)];
  const findings = [
    ...(allBytes > totalBytes ? [warning('memoryFull', sizeOf(allBytes), total)] : []),
    ...(availableBytes < idleMb * MIB ? [warning('memoryLow', sizeOf(availableBytes))] : []),
  ];
  const fine = `All workers together may use ${sizeOf(allBytes)} of this machine's ${total}; ${sizeOf(availableBytes)} are available.`;
  return findings.length > 0 ? findings : [ok('memory', fine)];
}

// The clock.

/** NTP keeps clocks within some milliseconds. */
const CLOCK_WARNING_MS = 1_000;
const CLOCK_FAILURE_MS = 30_000;
const TIMEDATECTL_LIMIT_MS = 3_000;

/** How the clock of the database and this machine's differ. */
export interface ClockOffset {
  /** Positive: this machine is ahead. */
  readonly aheadMs: number;
  /** The answer took twice this time, so the offset is uncertain by as much. */
  readonly uncertaintyMs: number;
}

/** @param offset null: no database has answered */
export async function checkClock(offset: ClockOffset | null): Promise<Finding[]> {
  const isSynchronised = await askTimedatectl();
  return judgeClock(offset, isSynchronised);
}

/** Pure. @param isSynchronised null: it cannot be asked here */
export function judgeClock(offset: ClockOffset | null, isSynchronised: boolean | null): Finding[] {
  if (offset !== null) {
    const leastMs = Math.abs(offset.aheadMs) - offset.uncertaintyMs;
    const seconds = (Math.abs(offset.aheadMs) / 1_000).toFixed(1);
    const how = `${seconds} s ${offset.aheadMs > 0 ? 'ahead of' : 'behind'}`;
    if (leastMs > CLOCK_FAILURE_MS) return [failure('clockDiffers', how)];
    if (leastMs > CLOCK_WARNING_MS) return [warning('clockDiffers', how)];
  }
  if (isSynchronised === false) return [warning('clockAlone')];
  const parts = [
    offset === null ? 'No database was there to compare with.' : "It agrees with the database's.",
    isSynchronised
      ? 'A time service keeps it right.'
      : 'Whether a time service keeps it right cannot be asked here.',
  ];
  const found = parts.join(' ');
  return [
    offset === null && isSynchronised === null ? unknown('clock', found) : ok('clock', found),
  ];
}

/** Null: there is no systemd to ask. */
async function askTimedatectl(): Promise<boolean | null> {
  const words = ['show', '--property=NTPSynchronized', '--value'];
  const options = { timeout: TIMEDATECTL_LIMIT_MS };
  const said = await promisify(execFile)('timedatectl', words, options).catch(() => null);
  const answer = said?.stdout.trim();
  return answer === 'yes' ? true : answer === 'no' ? false : null;
}

// Node.

/** When the Node project ends each version (https://github.com/nodejs/Release). */
const NODE_ENDS: Readonly<Record<string, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
};

/** Pure. @param version that of this process, such as `24.1.0` */
export function judgeNode(version: string, now: Date): Finding {
  const end = NODE_ENDS[version.split('.')[0] ?? ''];
  if (end === undefined)
    return unknown(
      'node',
      `Not checked: until when Node ${version} gets updates is not known here.`,
    );
  return now > new Date(end)
    ? warning('nodeOld', version, end)
    : ok('node', `Node ${version} gets security updates until ${end}.`);
}

// Limits.

/** Sockets of some thousand connections, and of some dozen workers. */
const MIN_OPEN_FILES = 4_096;

/** @param pid the gateway that is running, or null: then the limits of this process are asked */
export async function checkLimits(config: Config, pid: number | null): Promise<Finding[]> {
  const who = pid === null ? 'This user' : 'The gateway';
  const limits = await readFile(`/proc/${pid ?? 'self'}/limits`, 'utf8');
  // The second column is the hard limit, to which Node raises the soft one.
  const files = /^Max open files +\S+ +(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  const kernel = await Promise.all(
    ['pid_max', 'threads-max'].map((name) => readFile(`/proc/sys/kernel/${name}`, 'utf8')),
  );
  return judgeLimits(config, { who, files, processes: Math.min(...kernel.map(Number)) });
}

interface Limits {
  /** Whose limit of files it is, at the start of a sentence. */
  readonly who: string;
  /** A number, or `unlimited`. */
  readonly files: string;
  /** How many processes and threads the machine allows. */
  readonly processes: number;
}

/** Pure. */
export function judgeLimits(
  { maxTotalWorkers, workerPids }: Pick<Config, 'maxTotalWorkers' | 'workerPids'>,
  { who, files, processes }: Limits,
): Finding[] {
  const wanted = maxTotalWorkers * workerPids;
  const findings = [
    ...(files !== 'unlimited' && Number(files) < MIN_OPEN_FILES
      ? [warning('fewFiles', files)]
      : []),
    ...(processes < wanted ? [warning('fewProcesses', processes, wanted)] : []),
  ];
  const fine = `${who} may open ${files} files; this machine allows ${processes} processes and threads.`;
  return findings.length > 0 ? findings : [ok('limits', fine)];
}

// Permissions.

const OTHERS_WRITE = 0o022;
const OTHERS_USE = 0o077;
const STICKY = 0o1000;

/** Whether the gateway can use its folders and its token, and whether nobody else can. */
export async function checkPermissions({
  dataDir,
  socketDir,
  authToken,
}: Pick<Config, 'dataDir' | 'socketDir' | 'authToken'>): Promise<Finding[]> {
  const findings = [
    await checkFolder('DATA_DIR', dataDir),
    await checkFolder('SOCKET_DIR', socketDir),
    authToken === null ? await checkToken(tokenPath(dataDir)) : null,
  ].flatMap((each) => each ?? []);
  const fine = 'This user may write to DATA_DIR and SOCKET_DIR, and others may not.';
  return findings.length > 0 ? findings : [ok('permissions', fine)];
}

async function checkFolder(name: string, path: string): Promise<Finding | null> {
  const at = await existing(path);
  const { W_OK, X_OK, R_OK } = constants;
  try {
    const { mode } = await stat(at);
    await access(at, at === path ? R_OK | W_OK | X_OK : W_OK | X_OK);
    const isOpen = at === path && (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0;
    return isOpen ? failure('openToOthers', `${name} (${path})`, octal(mode)) : null;
  } catch (error: unknown) {
    return failure('notWritable', `${name} (${path})`, messageOf(error));
  }
}

async function checkToken(path: string): Promise<Finding | null> {
  try {
    const { mode } = await stat(path);
    await access(path, constants.R_OK);
    return (mode & OTHERS_USE) !== 0 ? failure('openToOthers', path, octal(mode)) : null;
  } catch (error: unknown) {
    // The first start makes it. If its folder cannot be entered, that is reported already.
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return null;
    return failure('notWritable', path, messageOf(error));
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
