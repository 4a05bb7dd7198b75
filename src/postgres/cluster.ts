import { randomUUID } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../domain/errors.ts';
import type { Binaries } from './binaries.ts';
import type { Layout } from './layout.ts';
import { runTool } from './runTool.ts';
import { asServerUser, type ServerUser } from './serverUser.ts';

/** The gateway's role. It is not a superuser, so no query can access the machine's files. */
export const ROLE = 'cellhouse';
export const DATABASE = 'cellhouse';

/**
 * An unfinished cluster older than this is abandoned, because making one never takes this long. The process id in its
 * name does not show this: another process may have that id by now, as ids repeat quickly in a container.
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
 * The locale is PostgreSQL's own (`builtin`). With one of the C library, indexes would depend on the machine's version
 * of that library. Connections are possible only through the socket, whose folder is closed to other users. So `trust`
 * is safe, and no password has to be kept beside the data.
 */
function initdbCommand(binaries: Binaries, data: string): string[] {
  return [
    binaries.initdb,
    `--pgdata=${data}`,
    '--username=postgres',
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

function refuseOtherMajor(data: string, major: string): void {
  const made = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (made === major) return;
  throw new Error(
    `${data} was made by PostgreSQL ${made}, but this version of Cellhouse includes PostgreSQL ${major}. Move the data with pg_dump and psql, or set DATABASE_URL.`,
  );
}
