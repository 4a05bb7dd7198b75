/** `cellhouse backup` and `cellhouse restore`: copies of an installation with the embedded PostgreSQL. */
import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { type Config, loadConfig } from '../config/config.ts';
import { hasCode } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import { onOneConnection } from '../events/connection/client.ts';
import {
  copyCluster,
  placeCluster,
  requirePlace,
  type SuperuserQuery,
  syncAll,
  syncOne,
} from '../postgres/backup.ts';
import { layoutOf, SUPERUSER } from '../postgres/cluster.ts';
import { ensureEmbeddedPostgres, stopEmbeddedPostgres } from '../postgres/embeddedPostgres.ts';
import { findClusterProcesses } from '../postgres/server.ts';
import { IDENTITY_FILES, makeDataDir, recordBackup } from '../process/dataDir.ts';
import { lockDataDir } from '../process/gatewayLock.ts';
import { programVersion } from '../process/programVersion.ts';
import { parseOptions } from './commandLine.ts';

/** Written last, so a folder with this file is complete. */
const ABOUT = 'backup.json';
/** The end of the name of a backup that is not complete yet. */
const UNFINISHED = '.unfinished';
const NAME = /^cellhouse-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/;
const FOLDER_MODE = 0o700;

interface BackupArguments {
  /** The folder of all backups. Absolute. */
  readonly folder: string;
  /** How many backups stay in the folder, this one included. Null: all. */
  readonly keep: number | null;
}

/** Parses the words after `cellhouse backup`. @throws Error that says what is wrong, with a correct example */
export function backupArguments(words: readonly string[]): BackupArguments {
  const options = { to: { type: 'string' }, keep: { type: 'string' } } as const;
  const { to, keep } = parseOptions(words, { options }).values;
  if (!to) throw new Error(`--to needs a folder. ${EXAMPLE}`);
  if (keep !== undefined && !/^[1-9]\d{0,4}$/.test(keep))
    throw new Error(
      `--keep must be a whole number from 1 to 99999, not ${quoted(keep)}. ${EXAMPLE}`,
    );
  return { folder: resolve(to), keep: keep === undefined ? null : Number(keep) };
}

const EXAMPLE = 'Example: cellhouse backup --to /var/backups/cellhouse --keep 7';

/**
 * `cellhouse backup`: copies the embedded database and the files of DATA_DIR while gateways serve.
 * @param words the arguments after `backup`
 */
export async function backup(words: readonly string[]): Promise<void> {
  const wanted = backupArguments(words);
  const config = requireEmbedded(loadConfig(process.env));
  const { path, bytes, removed } = await makeBackup(config, wanted, new Date());
  console.log(`Backed up to ${path} (${Math.ceil(bytes / 1024 ** 2)} MiB).`);
  for (const old of removed) console.log(`Removed ${old}.`);
}

interface MadeBackup {
  readonly path: string;
  readonly bytes: number;
  /** The paths of the older backups that were removed. */
  readonly removed: readonly string[];
}

/** The work of {@link backup}. @throws Error also if another backup of this database is being made */
export async function makeBackup(
  config: Pick<Config, 'dataDir' | 'logLevel'>,
  { folder, keep }: BackupArguments,
  now: Date,
): Promise<MadeBackup> {
  const name = `cellhouse-${now.toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
  const path = join(folder, name);
  const unfinished = `${path}${UNFINISHED}`;
  return await withServer(config, async (query) => {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    await removeUnfinished(folder);
    await mkdir(unfinished, { mode: FOLDER_MODE });
    try {
      // Copied first, so that each day in `audit-heads` is also in the copy of the database.
      await copyFiles(config.dataDir, unfinished);
      const bytes = await copyCluster(config.dataDir, join(unfinished, 'postgres'), query);
      const about = { version: programVersion(), madeAt: now.toISOString(), bytes };
      await writeFile(join(unfinished, ABOUT), `${JSON.stringify(about, null, 2)}\n`);
      await syncAll(unfinished);
      await rename(unfinished, path);
      await syncOne(folder);
      recordBackup(config.dataDir, { path, madeAt: now });
      return { path, bytes, removed: keep === null ? [] : await removeOld(folder, keep, name) };
    } catch (error: unknown) {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
  });
}

/** The lock of a backup, in the database `postgres`, which nothing else uses. */
const LOCK_SQL = 'SELECT pg_try_advisory_lock(1) AS "isMine"';

/**
 * Connects to the embedded server as its superuser, and keeps other backups away. If the server does not run, it is
 * started for the backup, and stopped afterwards; in this case, no gateway can start meanwhile.
 * @throws Error if DATA_DIR has no database
 */
async function withServer<T>(
  { dataDir, logLevel }: Pick<Config, 'dataDir' | 'logLevel'>,
  work: (query: SuperuserQuery) => Promise<T>,
): Promise<T> {
  const logger = pino({ level: logLevel });
  const cluster = existsSync(dataDir) ? layoutOf(dataDir).data : null;
  if (cluster === null || !existsSync(cluster))
    throw new Error(`There is no database in ${dataDir}. Set DATA_DIR as the gateway has it.`);
  const isRunning = findClusterProcesses(cluster).postmaster !== null;
  const lock = isRunning ? null : await lockDataDir(dataDir);
  try {
    const address = await ensureEmbeddedPostgres({ dataDir, logger });
    const superuser = { ...address, username: SUPERUSER, database: 'postgres' };
    return await onOneConnection(
      superuser,
      { name: 'backup', statementTimeoutMs: 0 },
      async ({ sql }) => {
        const query: SuperuserQuery = async (text) => (await sql.unsafe(text)) as never;
        const [locked] = await query<{ isMine: boolean }>(LOCK_SQL);
        if (!locked?.isMine) throw new Error('Another backup of this database is being made.');
        return await work(query);
      },
    );
  } finally {
    if (lock !== null) {
      await stopEmbeddedPostgres({ dataDir, logger });
      await lock.release();
    }
  }
}

/** Copies the {@link IDENTITY_FILES} that exist. Does not overwrite files of the target. */
async function copyFiles(from: string, to: string): Promise<void> {
  for (const name of IDENTITY_FILES) {
    try {
      await copyFile(join(from, name), join(to, name), constants.COPYFILE_EXCL);
      await syncOne(join(to, name));
    } catch (error: unknown) {
      if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EEXIST')) throw error;
    }
  }
}

/** Removes what interrupted backups, and interrupted removals, have left. */
async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.endsWith(UNFINISHED) && NAME.test(name.slice(0, -UNFINISHED.length)))
      await rm(join(folder, name), { recursive: true, force: true });
}

/**
 * Removes the oldest backups until `keep` are left, but never the one that was just made. Other files and folders stay.
 * Resolves with the removed paths.
 */
async function removeOld(folder: string, keep: number, made: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => NAME.test(name) && name !== made).sort();
  const old = names.slice(0, Math.max(0, names.length + 1 - keep));
  for (const name of old) {
    const gone = join(folder, `${name}${UNFINISHED}`);
    await rename(join(folder, name), gone);
    await rm(gone, { recursive: true });
  }
  return old.map((name) => join(folder, name));
}

/**
 * Parses the words after `cellhouse restore`.
 * @returns the path of the backup
 * @throws Error that says what is wrong, with a correct example
 */
export function restoreArguments(words: readonly string[]): string {
  const { positionals } = parseOptions(words, { options: {}, allowPositionals: true });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0)
    throw new Error(
      'Name one backup. Example: cellhouse restore /var/backups/cellhouse/cellhouse-2026-12-01T03-00-00Z',
    );
  return path;
}

/**
 * `cellhouse restore`: puts a backup in place, in a DATA_DIR without a database.
 * @param words the arguments after `restore`
 */
export async function restore(words: readonly string[]): Promise<void> {
  const path = restoreArguments(words);
  const config = requireEmbedded(loadConfig(process.env));
  await restoreBackup(resolve(path), config.dataDir);
  console.log(`Restored ${path} into ${config.dataDir}. Start the gateway now.`);
}

/**
 * The work of {@link restore}. The cluster comes last, so an interrupted restore can be repeated.
 * @throws Error if there is no complete backup, or if DATA_DIR is in use
 */
export async function restoreBackup(path: string, dataDir: string): Promise<void> {
  if (!existsSync(join(path, ABOUT)))
    throw new Error(`${path} is no complete backup: it has no ${ABOUT}.`);
  makeDataDir(dataDir);
  const lock = await lockDataDir(dataDir);
  try {
    requirePlace(join(path, 'postgres'), dataDir);
    await copyFiles(path, dataDir);
    await syncOne(dataDir);
    await placeCluster(join(path, 'postgres'), dataDir);
  } finally {
    await lock.release();
  }
}

/** @throws Error if the installation has a database of its own */
function requireEmbedded(config: Config): Config {
  if (config.databaseUrl === null) return config;
  throw new Error(
    'DATABASE_URL is set, and this command is for the embedded PostgreSQL only. Use pg_dump and pg_restore: docs/run/backup.md.',
  );
}
