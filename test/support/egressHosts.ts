/** Hosts that code may or may not reach, and an egress with a port, as if the test were code in a worker. */
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

/** Longer than any answer of a server on this machine takes, and shorter than the proxy's own limits. */
const ANSWER_LIMIT_MS = 8_000;

export interface Host {
  readonly port: number;
  /** Heads of the requests that came, as they came. */
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

/** A server of bytes on loopback. */
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
  /** Of another gate: this one serves another session of the same gateway. */
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
