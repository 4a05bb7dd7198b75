/**
 * A proxy between a gateway and PostgreSQL whose connections a test can cut, slow down or stall at the worst moment;
 * and a PostgreSQL of the test's own behind it.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pino } from 'pino';
import type { DatabaseAddress } from '../../src/events/connection/client.ts';
import { layoutOf } from '../../src/postgres/cluster.ts';
import {
  ensureEmbeddedPostgres,
  type SocketAddress,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { findClusterProcesses } from '../../src/postgres/server.ts';
import { seedCluster } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';

export interface DatabaseProxy {
  readonly address: DatabaseAddress;
  /** The proxy's address over TCP, for DATABASE_URL. */
  readonly url: string;
  /** Drops the next answer to a commit, and its connection: the server has committed, and the gateway cannot know. */
  loseNextAnswer(): void;
  /** Drops the next commit on its way, and its connection: the server never receives it. */
  loseNextCommit(): void;
  /** How many commits and answers were dropped. */
  readonly lost: number;
  /** How many read-only statements passed so far. */
  readonly reads: number;
  /** Ends every connection; new ones are accepted. */
  cut(): void;
  /** Ends every connection and accepts none until {@link open}. */
  refuse(): Promise<void>;
  open(): Promise<void>;
  /** From now on, delays everything in both directions by this time. 0: no delay. */
  delay(ms: number): void;
  /** Ends every connection, and leads new ones to this server. */
  moveTo(server: SocketAddress): void;
  /** Makes all present connections half open: nothing passes any more, and none is closed. New connections work. */
  stall(): void;
  /** As {@link stall}, but only for the connections that LISTEN. */
  stallListening(): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: net.Socket;
  readonly upstream: net.Socket;
  /** The first bytes from the client: they contain its application name. */
  name: string;
  isStalled: boolean;
  /** For each side, resolves when the last chunk to it was written. */
  readonly passed: Map<net.Socket, Promise<void>>;
}

/** @param target a port of a host, or the folder of a Unix socket and its port */
export async function createDatabaseProxy(target: DatabaseAddress): Promise<DatabaseProxy> {
  if ('url' in target) throw new Error('The proxy needs the parts of an address.');
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-proxy-'));
  const file = join(folder, `.s.PGSQL.${target.port}`);
  let server: Pick<SocketAddress, 'host' | 'port'> = target;
  const links = new Set<Link>();
  let losing: 'commit' | 'answer' | null = null;
  let lost = 0;
  let reads = 0;
  let delayMs = 0;
  let servers = await listen(0);
  const tcpPort = portOf(servers);

  async function listen(tcp: number): Promise<net.Server[]> {
    const both = [net.createServer(relay), net.createServer(relay)] as const;
    both[0].listen(tcp, '127.0.0.1');
    both[1].listen(file);
    await Promise.all(both.map((server) => once(server, 'listening')));
    return [...both];
  }

  function relay(client: net.Socket): void {
    const upstream = connectTo(server);
    const link: Link = { client, upstream, name: '', isStalled: false, passed: new Map() };
    links.add(link);
    client.on('data', (chunk) => {
      if (link.name.includes('cellhouse reads')) reads += statementsIn(chunk);
      link.name ||= chunk.toString('latin1');
      if (!isLost(link, 'commit')) pass(link, upstream, chunk);
    });
    upstream.on('data', (chunk) => {
      if (!isLost(link, 'answer')) pass(link, client, chunk);
    });
    for (const socket of [client, upstream]) {
      socket.on('close', () => end(link));
      // Broken connections are this proxy's purpose; 'close' follows.
      socket.on('error', () => end(link));
    }
  }

  /** Passes each chunk on after the one before it, however the delay changes. */
  function pass(link: Link, to: net.Socket, chunk: Buffer): void {
    const due = [link.passed.get(to), delayMs > 0 ? wait(delayMs) : null];
    const passed = Promise.all(due).then(() => {
      if (!link.isStalled && !to.destroyed) to.write(chunk);
    });
    link.passed.set(to, passed);
  }

  function isLost(link: Link, what: 'commit' | 'answer'): boolean {
    if (losing !== what || !link.name.includes('cellhouse commits')) return false;
    losing = null;
    lost += 1;
    end(link);
    return true;
  }

  function end(link: Link): void {
    links.delete(link);
    link.client.destroy();
    link.upstream.destroy();
  }

  function cut(): void {
    for (const link of links) end(link);
  }

  async function refuse(): Promise<void> {
    const closed = servers.map((server) => once(server.close(), 'close'));
    servers = [];
    cut();
    await Promise.all(closed);
  }

  return {
    address: { ...target, host: folder },
    url: `postgres://${target.username}@127.0.0.1:${tcpPort}/${target.database}`,
    loseNextAnswer: () => {
      losing = 'answer';
    },
    loseNextCommit: () => {
      losing = 'commit';
    },
    get lost() {
      return lost;
    },
    get reads() {
      return reads;
    },
    cut,
    refuse,
    open: async () => {
      servers = await listen(tcpPort);
    },
    moveTo: (other) => {
      server = other;
      cut();
    },
    delay: (ms) => {
      delayMs = ms;
    },
    stall: () => {
      for (const link of links) link.isStalled = true;
    },
    stallListening: () => {
      for (const link of links) link.isStalled ||= link.name.includes('cellhouse listener');
    },
    close: async () => {
      await refuse();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function connectTo({ host, port }: Pick<SocketAddress, 'host' | 'port'>): net.Socket {
  return host.startsWith('/')
    ? net.connect(join(host, `.s.PGSQL.${port}`))
    : net.connect(port, host);
}

/** Counts the Execute messages (a letter, then a length that includes itself). Short statements are never split. */
function statementsIn(chunk: Buffer): number {
  let count = 0;
  for (let at = 0; at + 5 <= chunk.length; at += 1 + chunk.readUInt32BE(at + 1))
    if (chunk.toString('latin1', at, at + 1) === 'E') count += 1;
  return count;
}

function portOf([tcp]: readonly net.Server[]): number {
  const address = tcp?.address();
  if (!address || typeof address === 'string') throw new Error('The proxy has no TCP port.');
  return address.port;
}

interface CutConnection {
  readonly address: DatabaseAddress;
  /** Whether something was cut. */
  readonly isCut: boolean;
  close(): Promise<void>;
}

/**
 * An address of the database that passes on this many packets from the client, and fails from the next one on. To the
 * server it looks as if the client had been killed, and to the client as if the server had been.
 */
export async function cutAfter(target: DatabaseAddress, packets: number): Promise<CutConnection> {
  if ('url' in target) throw new Error('This needs the parts of an address.');
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-cut-'));
  const fileIn = (directory: string) => join(directory, `.s.PGSQL.${target.port}`);
  const sockets = new Set<net.Socket>();
  let sent = 0;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = net.createServer((client) => {
    const upstream = net.connect(fileIn(target.host));
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => upstream.destroy());
    client.on('data', (chunk) => {
      sent += 1;
      if (sent > packets) cut();
      else upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
  });
  server.listen(fileIn(folder));
  await once(server, 'listening');
  return {
    address: { ...target, host: folder },
    get isCut() {
      return sent > packets;
    },
    close: async () => {
      cut();
      const closed = once(server, 'close');
      server.close();
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// A test's own PostgreSQL behind a proxy, which the test can kill and start again.

export interface OwnPostgres {
  /** The proxy; its `url` is for DATABASE_URL. */
  readonly wire: DatabaseProxy;
  /** kill -9 of all its processes; resolves when they are gone. */
  kill(): Promise<void>;
  /** Resolves when it takes connections, recovery included. */
  start(): Promise<void>;
  destroy(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ch-own-postgres-'));
  const deps = { dataDir, logger: pino({ level: 'silent' }) };
  seedCluster(dataDir);
  const wire = await createDatabaseProxy(await ensureEmbeddedPostgres(deps));
  return {
    wire,
    kill: () => killCluster(layoutOf(dataDir).data),
    start: async () => {
      await ensureEmbeddedPostgres(deps);
    },
    destroy: async () => {
      await wire.close();
      await stopEmbeddedPostgres(deps);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** kill -9 of all processes of a cluster. Resolves when they are gone. @throws Error if the cluster does not run */
export async function killCluster(folder: string): Promise<void> {
  const { postmaster } = findClusterProcesses(folder);
  if (postmaster === null) throw new Error(`No PostgreSQL runs on ${folder}.`);
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  process.kill(postmaster, 'SIGKILL');
  for (const pid of children.trim().split(/\s+/).filter(Boolean)) killIfThere(Number(pid));
  await until('PostgreSQL is gone', async () => {
    const left = findClusterProcesses(folder);
    return left.postmaster === null && left.survivors.length === 0;
  });
}

/** A child process may have ended with its parent. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error: unknown) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
