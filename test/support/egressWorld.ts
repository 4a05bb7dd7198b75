/** A gateway with egress, hosts in its EGRESS_ALLOW, and hosts not in it. Needs root, for network namespaces. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import type { EgressSession } from '../../src/egress/createDial.ts';
import { createEgress, type Egress, type EgressDeps } from '../../src/egress/createEgress.ts';
import { newId } from '../../src/process/newId.ts';
import { startDnsServer } from '../../testkit/dnsServer.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { type NamespaceHost, openNamespace } from '../../testkit/namespace.ts';

/** Addresses of 44.128.0.0/16, the test network of amateur radio, which nobody routes. */
export const OWN_ADDRESS = '44.128.7.1';
export const LISTED = '44.128.7.2';
export const UNLISTED = '44.128.7.3';
export const METADATA = '169.254.169.254';
export const METADATA_6 = 'fd00:ec2::254';
/** A port of HTTP that is not the usual one. */
const ODD_PORT = 8_080;

const HOSTS: readonly NamespaceHost[] = [
  { name: 'listed', address: LISTED, port: 80 },
  { name: 'oddPort', address: LISTED, port: ODD_PORT },
  { name: 'unlisted', address: UNLISTED, port: 80 },
  { name: 'metadata', address: METADATA, port: 80 },
  { name: 'metadata6', address: METADATA_6, port: 80 },
];

/** Hosts that code must never reach. */
export const FORBIDDEN = ['oddPort', 'unlisted', 'metadata', 'metadata6'] as const;

export interface EgressWorld {
  readonly gateway: TestGateway;
  connectionsTo(name: string): number;
  /** Runs code that prints JSON; resolves with the value. */
  ask<T>(userUuid: string, code: string): Promise<T>;
  close(): Promise<void>;
}

/** The addresses of each name. A name with several lists resolves to each of them in turn. */
const NAMES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'listed.test': [[LISTED]],
  'a.sub.test': [[LISTED]],
  'private.sub.test': [['127.0.0.1']],
  'private6.sub.test': [['::1']],
  'mapped.sub.test': [['::ffff:127.0.0.1']],
  'metadata.sub.test': [[METADATA]],
  'metadata6.sub.test': [[METADATA_6]],
  'both.sub.test': [[LISTED, METADATA]],
  'own.sub.test': [[OWN_ADDRESS]],
  'nobody.sub.test': [['0.0.0.0']],
  'rebind.sub.test': [[LISTED], [METADATA], [LISTED], ['127.0.0.1']],
};

export async function openEgressWorld(
  settings: Readonly<Record<string, string>> = {},
): Promise<EgressWorld> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const each of closers.splice(0).reverse()) await each();
  };
  try {
    const namespace = await openNamespace(HOSTS, [OWN_ADDRESS, 'fd00:ec2::1']);
    closers.push(() => namespace.close());
    const turns = new Map<string, number>();
    const dns = await startDnsServer((name, type) => {
      const lists = NAMES[name] ?? [];
      const turn = turns.get(name) ?? 0;
      if (type === 'A') turns.set(name, turn + 1);
      return lists[(type === 'A' ? turn : Math.max(0, turn - 1)) % lists.length] ?? [];
    });
    closers.push(() => dns.close());
    const gateway = await startTestGateway({
      EGRESS_ALLOW: `listed.test, *.sub.test, ${LISTED}:80`,
      EGRESS_DNS: dns.address,
      MIN_IDLE_WORKERS: '1',
      ...settings,
    });
    closers.push(() => gateway.destroy());
    return {
      gateway,
      connectionsTo: namespace.connectionsTo,
      ask: async (userUuid, code) => {
        const { stdout, error, stderr } = await execute(gateway, userUuid, code, {
          timeoutMs: 60_000,
        });
        if (error !== null) throw new Error(`${error.name}: ${error.value}\n${stderr}`);
        return JSON.parse(stdout);
      },
      close,
    };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/** Python that defines `ask(text)`: sends the text on one connection to the proxy, and returns the whole answer. */
export const ASK = `
import json, os, socket, threading, time
PROXY = ("127.0.0.1", 3128)
def ask(text, limit=15):
    with socket.create_connection(PROXY, timeout=limit) as code:
        answer = b""
        try:
            code.sendall(text.encode("latin-1"))
            while part := code.recv(65536): answer += part
        except ConnectionError: pass
        return answer.decode("latin-1")
def get(authority, more=""): return ask(f"GET http://{authority}/ HTTP/1.1\\r\\nHost: x\\r\\n{more}\\r\\n")
def connect(authority): return ask(f"CONNECT {authority} HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n")
def status(answer): return int(answer[9:12]) if answer[9:12].isdigit() else answer
`;

// Hosts that code may or may not reach, and an egress with a port, as if the test were code in a worker.

/** Longer than any answer of a server on this machine takes, and shorter than the proxy's own limits. */
const ANSWER_LIMIT_MS = 8_000;

export interface Host {
  readonly port: number;
  /** The heads of all requests, as they were received. */
  readonly requests: readonly Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders'>[];
  /** The bodies of these requests, once they were whole. */
  readonly bodies: readonly string[];
  /** How many connections came. */
  readonly connections: number;
}

/** A server of HTTP on loopback. It answers with its name, unless `answer` does. */
export async function startHost(name: string, answer?: RequestListener): Promise<Host> {
  const requests: Host['requests'][number][] = [];
  const bodies: string[] = [];
  let connections = 0;
  const server = createServer((req, res) => {
    requests.push(req);
    if (answer) {
      answer(req, res);
      return;
    }
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      res.end(`I am ${name}`);
    });
  });
  server.on('upgrade', (req, socket) => {
    requests.push(req);
    socket.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Own: 1\r\n\r\n');
    socket.pipe(socket);
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests,
    bodies,
    get connections() {
      return connections;
    },
  };
}

/** A TCP server on loopback, which hands each connection to `serve`. @returns its port */
export async function startBytes(serve: (socket: Socket) => void): Promise<number> {
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export interface Gate {
  readonly egress: Egress;
  readonly session: EgressSession;
  readonly port: number;
  /** Sends the bytes as one connection of code, and gives all that comes back until its end. */
  send(bytes: string): Promise<string>;
  /** A connection of code. */
  open(): Socket;
}

export interface GateOptions {
  readonly settings: Readonly<Record<string, string>>;
  readonly queries: EgressDeps['queries'];
  readonly session?: Partial<EgressSession>;
  /** The egress of another gate. Then this gate serves another session of the same gateway. */
  readonly egress?: Egress;
}

/** An egress whose code connects to a port of loopback. */
export async function openGate(options: GateOptions): Promise<Gate> {
  const session: EgressSession = {
    ...{ id: newId<SessionId>(), tenant: 'default', egressAllow: null },
    ...options.session,
  };
  const egress = options.egress ?? startEgress(options);
  const streams = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    streams.add(socket);
    egress.serve(session, socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    for (const stream of streams) stream.destroy();
    await egress.close();
  });
  const { port } = server.address() as AddressInfo;
  const open = () => connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  return { egress, session, port, open, send: async (bytes) => await allOf(open(), bytes) };
}

function startEgress({ settings, queries }: GateOptions): Egress {
  const egress = createEgress({
    config: loadConfig(settings, 0),
    queries,
    logger: pino({ level: 'silent' }),
    now: () => new Date(),
    clock: () => performance.now(),
  });
  if (egress === null) throw new Error('EGRESS_ALLOW lists nothing.');
  return egress;
}

async function allOf(socket: Socket, bytes: string): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes, 'latin1');
  const timer = setTimeout(
    () => socket.destroy(new Error('The proxy does not answer.')),
    ANSWER_LIMIT_MS,
  );
  try {
    // A connection that is reset has ended, too.
    await new Promise<void>((resolve, reject) => {
      socket.once('end', resolve);
      socket.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve() : reject(error),
      );
    });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return Buffer.concat(chunks).toString('latin1');
}
