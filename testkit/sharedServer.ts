/**
 * Databases on the one PostgreSQL server that the set-up of test/e2e starts (test/support/provideCluster.ts). A server
 * of its own costs a gateway one more second of CPU time: to copy, start and stop the cluster, and to make its tables.
 */

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import type { DatabaseAddress } from '../src/events/connection/client.ts';
import type { SocketAddress } from '../src/postgres/embeddedPostgres.ts';

/** The environment variable that contains the server, a {@link SharedServer} as JSON. */
export const SERVER_VARIABLE = 'CELLHOUSE_TEST_SERVER';
/** The database with all tables, all of them empty. Copying it takes a sixth of the time of making the tables. */
export const WITH_TABLES = 'with_tables';

interface SharedServer {
  readonly address: SocketAddress;
  /** Gateways reach the server over TCP, at this port on loopback. */
  readonly tcpPort: number;
}

interface OwnDatabase {
  readonly address: SocketAddress;
  /** Ends the connections that are left, and drops the database. */
  drop(): Promise<void>;
}

/**
 * Makes a database on the shared server. Its `url` is for DATABASE_URL.
 * @param options those of {@link createDatabase}
 * @returns null if there is no shared server, as in a bench
 */
export async function makeDatabase(
  options: { readonly hasTables?: boolean } = {},
): Promise<(OwnDatabase & { readonly url: string }) | null> {
  const given = process.env[SERVER_VARIABLE];
  if (given === undefined) return null;
  const { address: server, tcpPort } = JSON.parse(given) as SharedServer;
  const made = await createDatabase(server, options);
  const { username, database } = made.address;
  return { ...made, url: `postgres://${username}@127.0.0.1:${tcpPort}/${database}` };
}

/**
 * Makes a database on a server that has {@link WITH_TABLES}.
 * @param options.hasTables false for an empty database, in which the first gateway makes the tables
 */
export async function createDatabase(
  server: SocketAddress,
  { hasTables = true }: { readonly hasTables?: boolean } = {},
): Promise<OwnDatabase> {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const template = hasTables ? WITH_TABLES : 'template1';
  await onServer(server, (sql) => sql`CREATE DATABASE ${sql(database)} TEMPLATE ${sql(template)}`);
  return { address: { ...server, database }, drop: () => drop(database, server) };
}

async function drop(database: string, server: DatabaseAddress): Promise<void> {
  await onServer(server, async (sql) => {
    // Not FORCE: it fails while autovacuum works in the database, whereas a plain drop ends the autovacuum.
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = ${database} AND usename = current_user`;
    await sql`DROP DATABASE ${sql(database)}`;
  });
}

/** Runs something over one connection of its own. */
export async function onServer<T>(
  address: DatabaseAddress,
  run: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql =
    'url' in address ? postgres(address.url, { max: 1 }) : postgres({ ...address, max: 1 });
  try {
    return await run(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/**
 * The environment variable with the folder of an embedded PostgreSQL. A test run prepares this folder, with an empty
 * cluster, for its gateways.
 */
export const CLUSTER_VARIABLE = 'CELLHOUSE_TEST_CLUSTER';

/**
 * Copies the prepared cluster, if there is one, into a data directory. Making a cluster takes seconds of CPU time, and
 * a copy is just as good. The programs are linked, because nobody changes them. Without a prepared cluster, the first
 * start makes cluster and programs as usual.
 */
export function seedCluster(dataDir: string): void {
  const prepared = process.env[CLUSTER_VARIABLE];
  if (prepared === undefined) return;
  const folder = join(dataDir, 'postgres');
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const programs = readdirSync(prepared).filter((name) => name.startsWith('postgresql-'));
  // --archive keeps the owner, which must be the server's user.
  execFileSync('cp', ['--archive', join(prepared, 'data'), folder]);
  for (const name of programs)
    execFileSync('cp', ['--archive', '--link', join(prepared, name), folder]);
}

// Finds secrets of tokens in places that must not contain any: logs, tables, files and lists of processes.

/** The secrets that src/process/dataDir.ts makes. */
const SECRET = /ch_[A-Za-z0-9_-]{43}|e2b_[0-9a-f]{40}/g;
/** A shorter AUTH_TOKEN is not looked for, because it may be part of any text. Only tests have such short ones. */
const MIN_OWN_CHARS = 16;

/** The secrets in a text. @param own other tokens to look for, such as AUTH_TOKEN */
export function secretsIn(text: string, own: readonly string[] = []): string[] {
  const known = own.filter((token) => token.length >= MIN_OWN_CHARS && text.includes(token));
  return [...new Set([...(text.match(SECRET) ?? []), ...known])];
}

/** The same as a regular expression of PostgreSQL, for tables. */
export const SECRET_IN_SQL = SECRET.source;
