import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** `migrations/`, beside `src` as beside `dist`. */
export const MIGRATIONS = new URL('../../../migrations/', import.meta.url);

/** What this release makes of a database: `migrations/schema.json`, and the files that it names. */
export interface Release {
  /** Rises with every change of `migrations/`. */
  readonly version: number;
  /** The oldest version whose gateways may go on with a database of this one. */
  readonly compatibleFrom: number;
  /** Functions and views, in the order in which they are applied. */
  readonly files: readonly SqlFile[];
}

export interface SqlFile {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

export function readRelease(): Release {
  const text = readFileSync(new URL('schema.json', MIGRATIONS), 'utf8');
  const { version, compatibleFrom, sql } = JSON.parse(text) as Omit<Release, 'files'> & {
    readonly sql: readonly string[];
  };
  return { version, compatibleFrom, files: sql.map(readSqlFile) };
}

function readSqlFile(name: string): SqlFile {
  const sql = readFileSync(new URL(`sql/${name}`, MIGRATIONS), 'utf8');
  return { name, sql, sha256: sha256(sql) };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
