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

/** The gateway's own role: no superuser, so that no query can reach the machine's files. */
export const ROLE = 'cellhouse';
export const DATABASE = 'cellhouse';

/** Nothing takes so long; a process may have the number of the one that left it (in a container they repeat). */
const ABANDONED_AFTER_MS = 600_000;

/** CREATEDB lets tests make a database for each file. */
const SET_UP_SQL = `CREATE ROLE ${ROLE} LOGIN CREATEDB;\nCREATE DATABASE ${DATABASE} OWNER ${ROLE};\n`;

/**
 * Makes the cluster with role and database if there is none. It is made under another name and moved when complete, so
 * whatever is called `data` is whole.
 * @throws Error if one is there that these binaries cannot open
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
 * The locale is PostgreSQL's own (`builtin`): one of the C library would make indexes depend on the machine's version of
 * it. Only the socket is let in, and its folder is closed to others: `trust` asks for no password that would have to be
 * kept beside the data.
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

/** What earlier attempts left that were killed half-way; not those of a process that still works on it. */
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
    `${data} was made by PostgreSQL ${made}, and this version of Cellhouse brings PostgreSQL ${major}. Move the data with pg_dump and psql, or set DATABASE_URL.`,
  );
}
