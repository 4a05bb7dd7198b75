/**
 * Debian's PostgreSQL as docs/run/standby.md sets it up: a primary, a standby that follows it, and one address in front,
 * which the operator moves to the standby. Gateways connect with TLS.
 */
import { readFileSync } from 'node:fs';
import type { SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';
import { createDatabaseProxy, type DatabaseProxy, killCluster } from './databaseProxy.ts';
import { asSuperuser, type Cluster, createDebianPostgres, DEBIAN_ROLE } from './debianPostgres.ts';

const PAGE = readFileSync(new URL('../../docs/run/standby.md', import.meta.url), 'utf8');

export interface ReplicatedPostgres {
  /** The address for DATABASE_URL, which needs `settings`. */
  readonly url: string;
  /** What a gateway needs, so that it trusts the certificate of the servers. */
  readonly settings: Readonly<Record<string, string>>;
  /** Runs the page's SQL that makes replication synchronous, on the primary. */
  makeSynchronous(): Promise<void>;
  /** Ends the connection from the standby to the primary, and keeps it from coming back. */
  separate(): Promise<void>;
  /** Kills the primary with -9, promotes the standby as the page says, and leads the address to the standby. */
  failOver(): Promise<void>;
  destroy(): Promise<void>;
}

export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const postgres = await createDebianPostgres();
  const [primary, standby] = [await postgres.place('primary'), await postgres.place('standby')];
  await postgres.make(primary);
  const wire: DatabaseProxy = await createDatabaseProxy(overTcp(primary));
  const replication = await createDatabaseProxy(primary);
  await postgres.run('pg_basebackup', baseBackupOnPage(replication, standby));
  await postgres.start(standby);
  await until('the standby follows', () => isFollowed(primary));
  return {
    url: encrypted(wire.url),
    settings: { NODE_EXTRA_CA_CERTS: postgres.certificate.file },
    makeSynchronous: async () => {
      await runSql(primary, sqlOnPage('synchronous_standby_names'));
      await until('the standby is synchronous', () => isFollowed(primary, 'sync'));
    },
    separate: () => replication.refuse(),
    failOver: async () => {
      await killCluster(primary.data);
      await runSql(standby, sqlOnPage('pg_promote'));
      wire.moveTo(overTcp(standby));
    },
    destroy: async () => {
      await wire.close();
      await replication.close();
      await postgres.destroy();
    },
  };
}

/** PostgreSQL uses no TLS on its socket. */
function overTcp(cluster: SocketAddress): SocketAddress {
  return { ...cluster, host: '127.0.0.1' };
}

/** The URL as docs/run/database.md says, with the name for which the certificate holds. */
function encrypted(url: string): string {
  return `postgres://${DEBIAN_ROLE}@localhost:${new URL(url).port}/cellhouse?sslmode=verify-full`;
}

/** The words after `pg_basebackup` on the page, with the test's address, user and folder. */
function baseBackupOnPage({ url }: DatabaseProxy, standby: Cluster): string[] {
  const words = /^pg_basebackup (.+)$/m.exec(PAGE)?.[1]?.split(' ') ?? [];
  const { hostname, port } = new URL(url);
  const own: Readonly<Record<string, string>> = {
    '--host': hostname,
    // A superuser may replicate, too.
    '--username': asSuperuser(standby).username,
    '--pgdata': standby.data,
  };
  const changed = words.map((word) => {
    const [name = ''] = word.split('=');
    return name in own ? `${name}=${own[name]}` : word;
  });
  return [...changed, `--port=${port}`];
}

/** The line of the page's SQL that contains this word. */
function sqlOnPage(word: string): readonly string[] {
  const line = PAGE.split('\n').find((each) => each.includes(word) && each.endsWith(';'));
  if (line === undefined) throw new Error(`docs/run/standby.md has no SQL with ${word}.`);
  return line.split(';').filter((statement) => statement.trim() !== '');
}

async function runSql(server: SocketAddress, statements: readonly string[]): Promise<void> {
  await onServer(asSuperuser(server), async (sql) => {
    for (const statement of statements) await sql.unsafe(statement);
  });
}

async function isFollowed(primary: SocketAddress, state?: string): Promise<boolean> {
  return await onServer(asSuperuser(primary), async (sql) => {
    const rows = await sql<{ state: string; sync_state: string }[]>`
      SELECT state, sync_state FROM pg_stat_replication`;
    return rows.some(
      (row) => row.state === 'streaming' && (state === undefined || row.sync_state === state),
    );
  });
}
