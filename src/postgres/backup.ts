/**
 * Copies the cluster of the embedded PostgreSQL while it serves, and puts such a copy in place. PostgreSQL's manual calls
 * this a base backup by the low-level API ("Continuous Archiving and Point-in-Time Recovery"). The npm package has
 * neither pg_basebackup nor pg_dump.
 *
 * Files of the cluster are copied while the server changes them. The copy becomes consistent when a server starts on it:
 * it replays the write-ahead log from the checkpoint in `backup_label` to the end of the backup.
 */
import { createReadStream, createWriteStream, type Dirent, existsSync } from 'node:fs';
import { chown, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hasCode } from '../domain/errors.ts';
import { chooseServerUser, layoutOf, type ServerUser } from './cluster.ts';

/** One connection of PostgreSQL's superuser. The backup ends with it. */
export interface BackupConnection {
  query<Row>(text: string): Promise<readonly Row[]>;
}

/** The superuser of the cluster. It can connect only through the socket, whose folder is closed to other users. */
export const SUPERUSER = { username: 'postgres', database: 'postgres' };

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
  { query }: BackupConnection,
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
  for (const entry of await entriesOf(source)) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (isServed && LEFT_OUT.test(entry.name)) continue;
    if (isServed && WITHOUT_CONTENT.has(entry.name)) await mkdir(to, { mode: FOLDER_MODE });
    else if (entry.isDirectory()) bytes += await copyFolder(from, to, copying);
    else if (entry.isFile()) {
      bytes += await copyFile(from, to);
      if (!isServed && copying.user) await chown(to, copying.user.uid, copying.user.gid);
    }
  }
  if (!isServed && copying.user) await chown(target, copying.user.uid, copying.user.gid);
  return bytes;
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error: unknown) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Resolves with the number of bytes. 0 if the file has vanished. */
async function copyFile(from: string, to: string): Promise<number> {
  const source = createReadStream(from);
  const target = createWriteStream(to, { mode: FILE_MODE });
  try {
    await pipeline(source, target);
  } catch (error: unknown) {
    if (!hasCode(error, 'ENOENT')) throw error;
    await rm(to, { force: true });
  }
  return target.bytesWritten;
}

/** Copies the segments of the write-ahead log that the backup needs. */
async function copyLog(source: string, target: string, first: string, last: string) {
  await mkdir(join(target, 'pg_wal', 'archive_status'), { mode: FOLDER_MODE });
  let bytes = 0;
  for (const { name } of await entriesOf(join(source, 'pg_wal')))
    if (SEGMENT.test(name) && name >= first && name <= last)
      bytes += await copyFile(join(source, 'pg_wal', name), join(target, 'pg_wal', name));
  if (bytes === 0)
    throw new Error('PostgreSQL has deleted the log that the backup needs. Nothing was backed up.');
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

async function syncOne(path: string): Promise<void> {
  const file = await open(path, 'r');
  await file.sync().finally(() => file.close());
}

/**
 * Puts a copy in place as the cluster of `dataDir`, which must exist and have no cluster. The copy itself stays.
 * @throws Error if there is a cluster
 */
export async function placeCluster(source: string, dataDir: string): Promise<void> {
  const { root, data } = layoutOf(dataDir);
  if (existsSync(data)) {
    throw new Error(
      `There is a database in ${root} already. Restore into an empty DATA_DIR, or move that folder away.`,
    );
  }
  await mkdir(root, { recursive: true, mode: 0o711 });
  // The name says to a start that this is unfinished work of this process.
  const unfinished = `${data}.new-${process.pid}-restore`;
  await rm(unfinished, { recursive: true, force: true });
  await copyFolder(source, unfinished, { isServed: false, user: chooseServerUser(data) });
  await syncAll(unfinished);
  await rename(unfinished, data);
  await syncOne(dirname(data));
}
