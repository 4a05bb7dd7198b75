/** Servers and programs of Debian's PostgreSQL, each cluster with a folder and a socket of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { asServerUser, chooseServerUser } from '../../src/postgres/cluster.ts';
import type { SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';

const PROGRAMS = 'usr/lib/postgresql/17/bin';
export const DEBIAN_ROLE = 'cellhouse';

/** Where a cluster is, and the address at which its server answers while it runs. */
export type Cluster = SocketAddress & { readonly data: string };

export interface DebianPostgres {
  /** Makes the folder of a cluster. The cluster itself is not made. */
  place(name: string): Cluster;
  /** Makes the cluster, with an empty database `cellhouse`, and starts its server. */
  make(cluster: Cluster): Promise<void>;
  /** Starts the server of a cluster. Resolves when it answers. */
  start(cluster: Cluster): Promise<void>;
  /** Runs a program, such as `pg_dump`, as the servers' user. @throws Error if it fails */
  run(program: string, words: readonly string[]): Promise<unknown>;
  /** A folder in which the programs may write. */
  readonly root: string;
  /** Ends the servers, and removes all clusters. */
  destroy(): Promise<void>;
}

export async function createDebianPostgres(): Promise<DebianPostgres> {
  const programs = join(await ensureUnpacked('postgresql'), PROGRAMS);
  const root = mkdtempSync(join(tmpdir(), 'ch-debian-postgres-'));
  const user = chooseServerUser(root);
  // The server's user must get to its folders.
  chmodSync(root, 0o711);
  if (user) chownSync(root, user.uid, user.gid);
  const servers: ChildProcess[] = [];

  function place(name: string): Cluster {
    const host = join(root, name);
    mkdirSync(host, { mode: 0o700 });
    if (user) chownSync(host, user.uid, user.gid);
    const data = join(host, 'data');
    return { host, port: 5432, database: 'postgres', username: DEBIAN_ROLE, data };
  }

  function commandOf(program: string, words: readonly string[]): [string, string[]] {
    const argv = [join(programs, program), ...words];
    const [command = '', ...args] = asServerUser(user, argv, argv[0] ?? '');
    return [command, args];
  }

  const run = (program: string, words: readonly string[]) =>
    promisify(execFile)(...commandOf(program, words), { cwd: root });

  async function start({ data, ...address }: Cluster): Promise<void> {
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

  return {
    place,
    make: async (cluster) => {
      const words = ['-D', cluster.data, '--username', DEBIAN_ROLE, '--auth=trust', '--no-sync'];
      await run('initdb', words);
      await start(cluster);
      await onServer(cluster, (sql) => sql`CREATE DATABASE cellhouse`);
    },
    start,
    run,
    root,
    destroy: async () => {
      for (const server of servers) if (isRunning(server)) await end(server);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

const isRunning = ({ exitCode, signalCode }: ChildProcess) =>
  exitCode === null && signalCode === null;

async function end(server: ChildProcess): Promise<void> {
  const ended = once(server, 'exit');
  // An immediate shutdown. The data are not needed any more.
  server.kill('SIGQUIT');
  await ended;
}
