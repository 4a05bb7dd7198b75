/**
 * Debian's PostgreSQL as docs/run/standby.md sets it up: a primary, a standby that follows it, and one address in front,
 * which the operator moves to the standby.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { asServerUser, chooseServerUser } from '../../src/postgres/cluster.ts';
import type { SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';
import { createDatabaseProxy, type DatabaseProxy, killCluster } from './databaseProxy.ts';

const PROGRAMS = 'usr/lib/postgresql/17/bin';
const ROLE = 'cellhouse';
const PAGE = readFileSync(new URL('../../docs/run/standby.md', import.meta.url), 'utf8');

export interface ReplicatedPostgres {
  /** The address for DATABASE_URL. */
  readonly url: string;
  /** Runs the page's SQL that makes replication synchronous, on the primary. */
  makeSynchronous(): Promise<void>;
  /** Ends the connection from the standby to the primary, and keeps it from coming back. */
  separate(): Promise<void>;
  /** Kills the primary with -9, promotes the standby as the page says, and leads the address to the standby. */
  failOver(): Promise<void>;
  destroy(): Promise<void>;
}

export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const programs = join(await ensureUnpacked('postgresql'), PROGRAMS);
  const root = mkdtempSync(join(tmpdir(), 'ch-standby-'));
  const user = chooseServerUser(root);
  // The server's user must get to its folders.
  chmodSync(root, 0o711);
  const servers: ChildProcess[] = [];

  /** A folder with a cluster in `data` and its socket. */
  function place(name: string): SocketAddress & { readonly data: string } {
    const host = join(root, name);
    mkdirSync(host, { mode: 0o700 });
    if (user) chownSync(host, user.uid, user.gid);
    const data = join(host, 'data');
    return { host, port: 5432, database: 'postgres', username: ROLE, data };
  }

  function commandOf(program: string, words: readonly string[]): [string, string[]] {
    const argv = [join(programs, program), ...words];
    const [command = '', ...args] = asServerUser(user, argv, argv[0] ?? '');
    return [command, args];
  }

  const run = (program: string, words: readonly string[]) =>
    promisify(execFile)(...commandOf(program, words), { cwd: root });

  async function start({ data, ...address }: ReturnType<typeof place>): Promise<void> {
    const settings = ['listen_addresses=', `unix_socket_directories=${address.host}`, 'fsync=off'];
    const words = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    const server = spawn(...commandOf('postgres', words), { cwd: root, stdio: 'ignore' });
    servers.push(server);
    await until('PostgreSQL answers', () =>
      onServer(address, (sql) => sql`SELECT 1`).then(
        () => true,
        () => false,
      ),
    );
  }

  const [primary, standby] = [place('primary'), place('standby')];
  await run('initdb', ['-D', primary.data, '--username', ROLE, '--auth=trust', '--no-sync']);
  await start(primary);
  await onServer(primary, (sql) => sql`CREATE DATABASE cellhouse`);
  const wire: DatabaseProxy = await createDatabaseProxy(primary);
  const replication = await createDatabaseProxy(primary);
  await run('pg_basebackup', baseBackupOnPage(replication, standby.data));
  await start(standby);
  await until('the standby follows', () => isFollowed(primary));
  return {
    url: wire.url.replace(/\/postgres$/, '/cellhouse'),
    makeSynchronous: async () => {
      await runSql(primary, sqlOnPage('synchronous_standby_names'));
      await until('the standby is synchronous', () => isFollowed(primary, 'sync'));
    },
    separate: () => replication.refuse(),
    failOver: async () => {
      await killCluster(primary.data);
      await runSql(standby, sqlOnPage('pg_promote'));
      wire.moveTo(standby);
    },
    destroy: async () => {
      await wire.close();
      await replication.close();
      for (const server of servers) if (isRunning(server)) await end(server);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The words after `pg_basebackup` on the page, with the test's address and folder. */
function baseBackupOnPage({ url }: DatabaseProxy, data: string): string[] {
  const words = /^pg_basebackup (.+)$/m.exec(PAGE)?.[1]?.split(' ') ?? [];
  const { hostname, port } = new URL(url);
  const own: Readonly<Record<string, string>> = {
    '--host': hostname,
    '--username': ROLE,
    '--pgdata': data,
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
  await onServer(server, async (sql) => {
    for (const statement of statements) await sql.unsafe(statement);
  });
}

async function isFollowed(primary: SocketAddress, state?: string): Promise<boolean> {
  return await onServer(primary, async (sql) => {
    const rows = await sql<{ state: string; sync_state: string }[]>`
      SELECT state, sync_state FROM pg_stat_replication`;
    return rows.some(
      (row) => row.state === 'streaming' && (state === undefined || row.sync_state === state),
    );
  });
}

const isRunning = ({ exitCode, signalCode }: ChildProcess) =>
  exitCode === null && signalCode === null;

async function end(server: ChildProcess): Promise<void> {
  const ended = once(server, 'exit');
  // An immediate shutdown. The data are not needed any more.
  server.kill('SIGQUIT');
  await ended;
}
