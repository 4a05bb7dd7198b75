/** Files of a gateway's DATA_DIR: its id, the token, the heads of the audit chain, the last backup, and events that were lost. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type AuditHead, parseAuditHead } from '../domain/auditHead.ts';
import { hasCode } from '../domain/errors.ts';
import { type GatewayId, parseId } from '../domain/ids.ts';
import { newId } from './newId.ts';

const TOKEN_FILE = 'auth-token';
const ID_FILE = 'gateway-id';
const HEADS_FILE = 'audit-heads';
const LAST_BACKUP_FILE = 'last-backup';
const LOST_HISTORY_FILE = 'lost-history';
/** The files that a backup keeps beside the database. Any of them may be missing. */
export const IDENTITY_FILES: readonly string[] = [TOKEN_FILE, ID_FILE, HEADS_FILE];

const TOKEN_BYTES = 32;

/**
 * Creates the folder if it is missing. Other users may enter it, but not list it: PostgreSQL's user must get through it
 * to the cluster.
 */
export function makeDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
}

/**
 * The gateway's id. It is the same at each start with this folder, so a restarted gateway takes over its own leases
 * immediately.
 */
export function gatewayIdOf(dataDir: string): GatewayId {
  const path = join(dataDir, ID_FILE);
  const text = readOrMake(path, () => newId<GatewayId>());
  const id = parseId<GatewayId>(text);
  if (id === null)
    throw new Error(`${path} does not hold a UUID. Delete it, and a new one is made.`);
  return id;
}

/** The path of the generated token, for people who look for it. */
export function tokenPath(dataDir: string): string {
  return join(dataDir, TOKEN_FILE);
}

/** The operator's token of a gateway without AUTH_TOKEN. It is generated at the first start, with mode 0600. */
export function tokenOf(dataDir: string): string {
  const path = tokenPath(dataDir);
  const token = readOrMake(path, () => randomBytes(TOKEN_BYTES).toString('base64url'));
  if (token === '') throw new Error(`${path} is empty. Delete it, and a new token is made.`);
  return token;
}

/**
 * Reads a file, or creates it if it is missing. The file is written under another name and then linked to its own, so
 * that it is always complete, even if two processes create it at the same time.
 */
function readOrMake(path: string, make: () => string): string {
  const aside = `${path}.${process.pid}.new`;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error: unknown) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  writeFileSync(aside, `${make()}\n`, { mode: 0o600 });
  try {
    linkSync(aside, path);
  } catch (error: unknown) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(aside);
  }
  return readFileSync(path, 'utf8').trim();
}

// The only place where the secrets of tokens are made.

/** Makes a secret that nobody can guess. It is injected wherever secrets are made. */
type NewSecret = () => string;

const SECRET_BYTES = 32;
/** Clients of E2B accept no other length. 160 random bits cannot be guessed either. */
const E2B_SECRET_BYTES = 20;

/** The production {@link NewSecret}: `ch_` and 43 characters that need no quoting anywhere. */
export const newSecret: NewSecret = () => `ch_${randomBytes(SECRET_BYTES).toString('base64url')}`;

/** A secret as clients of E2B want it: `e2b_` and 40 hexadecimal digits. */
export const newE2bSecret: NewSecret = () => `e2b_${randomBytes(E2B_SECRET_BYTES).toString('hex')}`;

// The heads of the audit chain outside of the database: the file `audit-heads` in a gateway's DATA_DIR.

const MODE = 0o600;

export function auditHeadsPath(dataDir: string): string {
  return join(dataDir, HEADS_FILE);
}

/**
 * All heads in a file, in order. Other lines are skipped, so the file may be a gateway's log. @throws Error if it
 * cannot be read
 */
export async function readAuditHeads(path: string): Promise<AuditHead[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  return lines.flatMap((line) => parseAuditHead(line) ?? []);
}

/** Reads and extends the file `audit-heads` of one gateway. A missing file counts as empty. */
export function createAuditHeads(dataDir: string) {
  const path = auditHeadsPath(dataDir);
  return {
    read: async (): Promise<AuditHead[]> => {
      try {
        return await readAuditHeads(path);
      } catch (error: unknown) {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      }
    },

    /** Resolves when the heads are on the disk. */
    append: async (heads: readonly AuditHead[]): Promise<void> => {
      const file = await open(path, 'a', MODE);
      try {
        // A killed gateway may have left a partial line. The line break in front ends it.
        const lines = heads.map((head) => JSON.stringify(head));
        await file.appendFile(`\n${lines.join('\n')}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      const folder = await open(dirname(path), 'r');
      await folder.sync().finally(() => folder.close());
    },
  };
}

// When the database was last backed up: the file `last-backup`, written by `cellhouse backup`.

const timeSchema = z.iso.datetime().transform((text) => new Date(text));
const lastBackupSchema = z.object({ path: z.string(), madeAt: timeSchema });

interface LastBackup {
  /** The backup's folder. */
  readonly path: string;
  readonly madeAt: Date;
}

/** Replaces the record of the previous backup. */
export function recordBackup(dataDir: string, { path, madeAt }: LastBackup): void {
  replace(join(dataDir, LAST_BACKUP_FILE), { path, madeAt });
}

/** The file has the former content or the new one, and never a part. */
function replace(file: string, content: object): void {
  const aside = `${file}.${process.pid}.new`;
  writeFileSync(aside, `${JSON.stringify(content)}\n`, { mode: MODE });
  renameSync(aside, file);
}

/** The newest complete backup. Null: none was made, or somebody has changed the file. */
export function lastBackup(dataDir: string): LastBackup | null {
  return readRecord(join(dataDir, LAST_BACKUP_FILE), lastBackupSchema);
}

/** The counterpart of {@link replace}. Null: there is no file, or its content is another. */
function readRecord<T>(file: string, schema: z.ZodType<T>): T | null {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}

// Whether the database has lost events: the file `lost-history`, which stays until an operator deletes it.

const lostHistorySchema = z.object({ message: z.string(), foundAt: timeSchema });

interface LostHistory {
  /** What the gateway said when it ended. */
  readonly message: string;
  readonly foundAt: Date;
}

export function recordLostHistory(dataDir: string, lost: LostHistory): void {
  replace(join(dataDir, LOST_HISTORY_FILE), lost);
}

/** What {@link recordLostHistory} has recorded last. Null: nothing, or somebody has deleted or changed the file. */
export function lostHistory(dataDir: string): (LostHistory & { readonly file: string }) | null {
  const file = join(dataDir, LOST_HISTORY_FILE);
  const lost = readRecord(file, lostHistorySchema);
  return lost && { ...lost, file };
}
