/**
 * Servers and programs of Debian's PostgreSQL, each cluster with a folder, a socket and a port of its own. Role and
 * database are made by the commands of docs/run/database.md. Over TCP, the servers take only connections with TLS, under
 * the name `localhost`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { asServerUser, chooseServerUser } from '../../src/postgres/cluster.ts';
import type { SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { freePort } from '../../testkit/freePort.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { commandOf } from './userPages.ts';

const PROGRAMS = 'usr/lib/postgresql/17/bin';
/** The role of the gateways. */
export const DEBIAN_ROLE = 'cellhouse';
/** The superuser of Debian's clusters. */
const SUPERUSER = 'postgres';
const PASSWORD = 'secret';
/** Who may connect: whoever gets to the socket, and over TCP only with TLS. */
const RULES = 'local all,replication all trust\nhostssl all all 127.0.0.1/32 trust\n';

/** The same server for its superuser. */
export const asSuperuser = <Address extends SocketAddress>(address: Address): Address => ({
  ...address,
  username: SUPERUSER,
});

/** What the page runs as the user postgres, beginning with this program. */
function superusersCommand(program: string): string[] {
  const command = commandOf('docs/run/database.md', `su postgres -c '${program} `);
  return command.replace(/^su postgres -c '(.+)'$/, '$1').split(' ');
}

/** Where a cluster is, and the address at which its server answers while it runs. It also answers at 127.0.0.1. */
export type Cluster = SocketAddress & { readonly data: string };

export interface DebianPostgres {
  /** Makes the folder of a cluster. The cluster itself is not made. */
  place(name: string): Promise<Cluster>;
  /** Makes the cluster, with an empty database `cellhouse` of a role `cellhouse`, and starts its server. */
  make(cluster: Cluster): Promise<void>;
  /** Makes one more database of that role. */
  createDatabase(cluster: Cluster, name: string): Promise<void>;
  /** Starts the server of a cluster. Resolves when it answers. */
  start(cluster: Cluster): Promise<void>;
  /** Runs a program, such as `pg_dump`, as the servers' user. Resolves with its output. @throws Error if it fails */
  run(program: string, words: readonly string[], options?: RunOptions): Promise<string>;
  /** A folder in which the programs may write. */
  readonly root: string;
  /** The folder of the programs. */
  readonly programs: string;
  /** That of all servers. */
  readonly certificate: Certificate;
  /** Ends the servers, and removes all clusters. */
  destroy(): Promise<void>;
}

interface RunOptions {
  /** The cluster whose superuser runs it, as `su postgres` does. Without it, the words name a server. */
  readonly by?: Cluster;
  /** What somebody would type at the terminal. */
  readonly typed?: string;
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

  async function createDatabase(by: Cluster, name: string): Promise<void> {
    const [program = '', ...words] = superusersCommand('createdb');
    await run(program, [...words.slice(0, -1), name], { by });
  }

  function argvOf(program: string, words: readonly string[]): [string, string[]] {
    const argv = [join(programs, program), ...words];
    const [command = '', ...args] = asServerUser(user, argv, argv[0] ?? '');
    return [command, args];
  }

  async function run(
    program: string,
    words: readonly string[],
    { by, typed = '' }: RunOptions = {},
  ): Promise<string> {
    const server = by && { PGHOST: by.host, PGPORT: `${by.port}`, PGUSER: SUPERUSER };
    const env = { ...process.env, ...server };
    // In a session of its own, it has no terminal: it reads passwords from its standard input.
    const options = { cwd: root, env, detached: true, stdio: 'pipe' } as const;
    const child = spawn(...argvOf(program, words), options);
    child.stdin.end(typed);
    const output = Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = await once(child, 'close');
    const printed = (await output).join('');
    if (code !== 0) throw new Error(`${program} ended with ${code}: ${printed}`);
    return printed;
  }

  async function start({ data, ...cluster }: Cluster): Promise<void> {
    const address = asSuperuser(cluster);
    const settings = [
      ...['listen_addresses=127.0.0.1', `port=${address.port}`, 'fsync=off'],
      `unix_socket_directories=${address.host}`,
      ...['ssl=on', `ssl_cert_file=${certificate.file}`, `ssl_key_file=${certificate.keyFile}`],
    ];
    const words = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    const server = spawn(...argvOf('postgres', words), { cwd: root, stdio: 'ignore' });
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
      const words = ['-D', cluster.data, '--username', SUPERUSER, '--auth=trust', '--no-sync'];
      await run('initdb', words);
      writeFileSync(join(cluster.data, 'pg_hba.conf'), RULES);
      await start(cluster);
      const [program = '', ...create] = superusersCommand('createuser');
      await run(program, create, { by: cluster, typed: `${PASSWORD}\n${PASSWORD}\n` });
      await createDatabase(cluster, superusersCommand('createdb').at(-1) ?? '');
    },
    createDatabase,
    start,
    run,
    root,
    programs,
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
