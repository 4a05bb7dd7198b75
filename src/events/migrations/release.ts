import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder is beside `src` and beside `dist`, so one path fits both. */
const MIGRATIONS = fileURLToPath(new URL('../../../migrations', import.meta.url));

/** The schema that this release gives a database: `migrations/schema.json`, and the files that it names. */
export interface Release {
  /** Rises with every change of `migrations/`. */
  readonly version: number;
  /** The oldest version whose gateways may still work on a database of this version. */
  readonly compatibleFrom: number;
  /** The folder with the migrations that make the tables. */
  readonly folder: string;
  /** Functions and views, in the order in which they are applied. */
  readonly files: readonly SqlFile[];
}

export interface SqlFile {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

export function readRelease(folder = MIGRATIONS): Release {
  const text = readFileSync(join(folder, 'schema.json'), 'utf8');
  const { version, compatibleFrom, sql } = JSON.parse(text) as Omit<Release, 'folder' | 'files'> & {
    readonly sql: readonly string[];
  };
  const files = sql.map((name) => readSqlFile(join(folder, 'sql'), name));
  return { version, compatibleFrom, folder, files };
}

function readSqlFile(folder: string, name: string): SqlFile {
  const sql = readFileSync(join(folder, name), 'utf8');
  return { name, sql, sha256: sha256(sql) };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
