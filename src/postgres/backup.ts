/**
 * Copies the cluster of the embedded PostgreSQL while it serves, and puts such a copy in place. PostgreSQL's manual
 * calls this a base backup by the low-level API ("Continuous Archiving and Point-in-Time Recovery"). The npm package
 * has neither pg_basebackup nor pg_dump.
 *
 * Files of the cluster are copied while the server changes them. The copy becomes consistent when a server starts on it
 * and replays the write-ahead log from the checkpoint in `backup_label` to the end of the backup.
 */
import { createWriteStream, type Dirent, existsSync, mkdirSync } from 'node:fs';
import { chown, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hasCode } from '../domain/errors.ts';
import {
  chooseServerUser,
  installBinaries,
  layoutOf,
  refuseOtherMajor,
  type ServerUser,
} from './cluster.ts';

/** Queries on one connection of PostgreSQL's superuser. The backup ends with the connection. */
export type SuperuserQuery = <Row>(text: string) => Promise<readonly Row[]>;

/** Folders whose content belongs to the running server, and is made anew by the next one. */
const WITHOUT_CONTENT: ReadonlySet<string> = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_wal',
]);
/** Files of the running server, and relation caches that the next one makes anew. */
const LEFT_OUT = /^(?:postmaster\.(?:pid|opts)|pg_internal\.init.*|pgsql_tmp.*)$/;
const SEGMENT = /^[0-9A-F]{24}$/;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Copies the cluster of `dataDir`, whose server is running, into `target`, a folder that does not exist. Resolves with
 * the size of the copy in bytes. The caller must call {@link syncAll}.
 */
export async function copyCluster(
  dataDir: string,
  target: string,
  query: SuperuserQuery,
): Promise<number> {
  const { data } = layoutOf(dataDir);
  // The slot keeps the write-ahead log until it is copied. It is temporary, so it ends with the connection.
  await query(
    `SELECT pg_create_physical_replication_slot('cellhouse_backup_' || pg_backend_pid(), true, true)`,
  );
  const [begun] = await query<{ segment: string }>(
    `SELECT pg_walfile_name(pg_backup_start('cellhouse backup', fast => true)) AS segment`,
  );
  let bytes = await copyFolder(data, target, { isServed: true });
  const [ended] = await query<{ segment: string; labelfile: string }>(
    `SELECT pg_walfile_name(lsn) AS segment, labelfile FROM pg_backup_stop(wait_for_archive => false)`,
  );
  if (!begun || !ended)
    throw new Error('PostgreSQL did not answer as expected. Nothing was backed up.');
  bytes += await copyLog(data, target, begun.segment, ended.segment);
  await writeFile(join(target, 'backup_label'), ended.labelfile, { mode: FILE_MODE });
  return bytes;
}

/** What is copied: the folders of a running server, or a finished backup for the user that the server runs as. */
type Copying =
  | { readonly isServed: true }
  | { readonly isServed: false; readonly user: ServerUser };

/** Copies a folder with all that is in it. Files may vanish meanwhile, because a running server deletes some. */
async function copyFolder(source: string, target: string, copying: Copying): Promise<number> {
  const { isServed } = copying;
  await mkdir(target, { mode: FOLDER_MODE });
  let bytes = 0;
  // The cluster has no tablespaces, which would be links.
  for (const entry of await entriesOf(source, isServed)) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (isServed && LEFT_OUT.test(entry.name)) continue;
    if (isServed && WITHOUT_CONTENT.has(entry.name)) await mkdir(to, { mode: FOLDER_MODE });
    else if (entry.isDirectory()) bytes += await copyFolder(from, to, copying);
    else if (entry.isFile()) {
      bytes += await copyFile(from, to, isServed);
      if (!isServed && copying.user) await chown(to, copying.user.uid, copying.user.gid);
    }
  }
  if (!isServed && copying.user) await chown(target, copying.user.uid, copying.user.gid);
  return bytes;
}

/** @param mayVanish whether a folder that is not there counts as empty */
async function entriesOf(folder: string, mayVanish: boolean): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error: unknown) {
    if (mayVanish && hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Resolves with the number of bytes. @param mayVanish whether a file that is not there counts as empty */
async function copyFile(from: string, to: string, mayVanish: boolean): Promise<number> {
  const source = await open(from, 'r').catch((error: unknown) => {
    if (mayVanish && hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (source === null) return 0;
  const target = createWriteStream(to, { mode: FILE_MODE });
  await pipeline(source.createReadStream(), target);
  return target.bytesWritten;
}

/** Copies the segments of the write-ahead log that the backup needs. */
async function copyLog(source: string, target: string, first: string, last: string) {
  await mkdir(join(target, 'pg_wal', 'archive_status'), { mode: FOLDER_MODE });
  const names = (await readdir(join(source, 'pg_wal'))).filter(
    (name) => SEGMENT.test(name) && name >= first && name <= last,
  );
  // The slot keeps the first segment, and all after it.
  if (!names.includes(first))
    throw new Error('PostgreSQL has deleted the log that the backup needs. Nothing was backed up.');
  let bytes = 0;
  for (const name of names)
    bytes += await copyFile(join(source, 'pg_wal', name), join(target, 'pg_wal', name), false);
  return bytes;
}

/** Resolves when the folder and all that is in it are on the disk. */
export async function syncAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncAll(path);
    else await syncOne(path);
  }
  await syncOne(folder);
}

/** Resolves when the file, or the list of the folder's names, is on the disk. */
export async function syncOne(path: string): Promise<void> {
  const file = await open(path, 'r');
  await file.sync().finally(() => file.close());
}

/** @throws Error if `dataDir`, which must exist, has a cluster, or if another major version made the copy */
export function requirePlace(source: string, dataDir: string): void {
  const { root, data } = layoutOf(dataDir);
  if (existsSync(data)) {
    throw new Error(
      `There is a database in ${root} already. Restore into an empty DATA_DIR, or move that folder away.`,
    );
  }
  mkdirSync(root, { recursive: true, mode: 0o711 });
  refuseOtherMajor(source, installBinaries(root).major);
}

/** Puts a copy in place as the cluster of `dataDir`, as {@link requirePlace} allows. The copy itself stays. */
export async function placeCluster(source: string, dataDir: string): Promise<void> {
  const { data } = layoutOf(dataDir);
  const unfinished = `${data}.restoring`;
  await rm(unfinished, { recursive: true, force: true });
  try {
    await copyFolder(source, unfinished, { isServed: false, user: chooseServerUser(data) });
    await syncAll(unfinished);
    await rename(unfinished, data);
  } catch (error: unknown) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  await syncOne(dirname(data));
}
