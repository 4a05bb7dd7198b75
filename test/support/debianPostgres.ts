/**
 * Servers and programs of Debian's PostgreSQL, each cluster with a folder, a socket and a port of its own. Over TCP, the
 * servers take only connections with TLS, under the name `localhost`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { asServerUser, chooseServerUser } from '../../src/postgres/cluster.ts';
import type { SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { freePort } from '../../testkit/freePort.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';
import { type Certificate, makeCertificate } from './certificate.ts';

const PROGRAMS = 'usr/lib/postgresql/17/bin';
export const DEBIAN_ROLE = 'cellhouse';
/** Who may connect: whoever gets to the socket, and over TCP only with TLS. */
const RULES = 'local all,replication all trust\nhostssl all all 127.0.0.1/32 trust\n';

/** Where a cluster is, and the address at which its server answers while it runs. It also answers at 127.0.0.1. */
export type Cluster = SocketAddress & { readonly data: string };

export interface DebianPostgres {
  /** Makes the folder of a cluster. The cluster itself is not made. */
  place(name: string): Promise<Cluster>;
  /** Makes the cluster, with an empty database `cellhouse`, and starts its server. */
  make(cluster: Cluster): Promise<void>;
  /** Starts the server of a cluster. Resolves when it answers. */
  start(cluster: Cluster): Promise<void>;
  /** Runs a program, such as `pg_dump`, as the servers' user. @throws Error if it fails */
  run(program: string, words: readonly string[]): Promise<unknown>;
  /** A folder in which the programs may write. */
  readonly root: string;
  /** That of all servers. */
  readonly certificate: Certificate;
  /** Ends the servers, and removes all clusters. */
  destroy(): Promise<void>;
}

export async function createDebianPostgres(): Promise<DebianPostgres> {
  const programs = join(await ensureUnpacked('postgresql'), PROGRAMS);
  const root = mkdtempSync(join(tmpdir(), 'ch-debian-postgres-'));
  const user = chooseServerUser(root);
  // The server's user must get to its folders.
  chmodSync(root, 0o711);
  const certificate = makeCertificate(root, ['localhost']);
  if (user) for (const path of [root, certificate.keyFile]) chownSync(path, user.uid, user.gid);
  const servers: ChildProcess[] = [];

  async function place(name: string): Promise<Cluster> {
    const host = join(root, name);
    mkdirSync(host, { mode: 0o700 });
    if (user) chownSync(host, user.uid, user.gid);
    const data = join(host, 'data');
    const port = await freePort();
    return { host, port, database: 'postgres', username: DEBIAN_ROLE, data };
  }

  function commandOf(program: string, words: readonly string[]): [string, string[]] {
    const argv = [join(programs, program), ...words];
    const [command = '', ...args] = asServerUser(user, argv, argv[0] ?? '');
    return [command, args];
  }

  const run = (program: string, words: readonly string[]) =>
    promisify(execFile)(...commandOf(program, words), { cwd: root });

  async function start({ data, ...address }: Cluster): Promise<void> {
    const settings = [
      ...['listen_addresses=127.0.0.1', `port=${address.port}`, 'fsync=off'],
      `unix_socket_directories=${address.host}`,
      ...['ssl=on', `ssl_cert_file=${certificate.file}`, `ssl_key_file=${certificate.keyFile}`],
    ];
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
      writeFileSync(join(cluster.data, 'pg_hba.conf'), RULES);
      await start(cluster);
      await onServer(cluster, (sql) => sql`CREATE DATABASE cellhouse`);
    },
    start,
    run,
    root,
    certificate,
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
