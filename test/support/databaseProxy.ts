/** A wire between a gateway and PostgreSQL that a test can cut, or let fall silent, at the worst moment. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../src/events/database.ts';

export interface DatabaseProxy {
  readonly address: DatabaseAddress;
  /** The next answer to a commit is lost, with its connection: the server has done it, and the gateway cannot know. */
  loseNextAnswer(): void;
  /** The next commit is lost on its way, with its connection: the server never hears of it. */
  loseNextCommit(): void;
  /** How many were lost. */
  readonly lost: number;
  /** Ends every connection and takes no more until {@link open}. */
  refuse(): Promise<void>;
  open(): Promise<void>;
  /** From now on nothing passes on the connections that LISTEN, and none of them is closed: they are half open. */
  stallListening(): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: net.Socket;
  readonly upstream: net.Socket;
  /** The start of what the client sent: it names its application. */
  name: string;
  isStalled: boolean;
}

/** @param target the folder of a Unix socket, and its port */
export async function createDatabaseProxy(target: DatabaseAddress): Promise<DatabaseProxy> {
  if ('url' in target) throw new Error('The proxy needs the parts of an address.');
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-proxy-'));
  const { host, port } = target;
  const fileIn = (directory: string) => join(directory, `.s.PGSQL.${port}`);
  const links = new Set<Link>();
  let losing: 'commit' | 'answer' | null = null;
  let lost = 0;
  let server = await listen();

  async function listen(): Promise<net.Server> {
    const listening = net.createServer(relay).listen(fileIn(folder));
    await once(listening, 'listening');
    return listening;
  }

  function relay(client: net.Socket): void {
    const upstream = net.connect(fileIn(host));
    const link: Link = { client, upstream, name: '', isStalled: false };
    links.add(link);
    client.on('data', (chunk) => {
      link.name ||= chunk.toString('latin1');
      if (!isLost(link, 'commit') && !link.isStalled) upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!isLost(link, 'answer') && !link.isStalled) client.write(chunk);
    });
    for (const socket of [client, upstream]) {
      socket.on('close', () => end(link));
      // Breaking the wire is what this is for; 'close' follows.
      socket.on('error', () => end(link));
    }
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

  async function refuse(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const link of links) end(link);
    await closed;
  }

  return {
    address: { ...target, host: folder },
    loseNextAnswer: () => {
      losing = 'answer';
    },
    loseNextCommit: () => {
      losing = 'commit';
    },
    get lost() {
      return lost;
    },
    refuse,
    open: async () => {
      server = await listen();
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
