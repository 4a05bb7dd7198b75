/** The real server with a service that the test provides, and clients of it over HTTP and WebSocket. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { createMessageCounts } from '../../src/domain/messageCounts.ts';
import { newId } from '../../src/process/newId.ts';
import {
  createServer,
  type GatewayServer,
  type ServerDeps,
} from '../../src/server/createServer.ts';
import type { Readiness } from '../../src/server/http/health.ts';
import type { Service } from '../../src/service/service.ts';
import type { TestGateway } from '../../testkit/gateway.ts';

export const TOKEN = 'a-token-for-tests';
/** What the server says its version is. */
export const VERSION = '1.2.3-test';
export const MAX_BODY_BYTES = 65_536;

export interface TransportServer {
  readonly origin: string;
  readonly port: number;
  readonly server: GatewayServer;
  /** Every line that was logged with level warning or higher. */
  readonly log: readonly Record<string, unknown>[];
  /** Sends an operation with the token, over HTTP. */
  query(query: string, variables?: Record<string, unknown>): Promise<Answer>;
  /** An open, acknowledged graphql-transport-ws connection. */
  connect(): Promise<Connection>;
}

interface Answer {
  readonly status: number;
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly AnsweredError[];
}

interface AnsweredError {
  readonly message: string;
  readonly path?: readonly string[];
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** The defaults, except for a free port and a limit that is low enough to reach in a test. */
const SERVER_CONFIG: Config = {
  ...loadConfig({ SOCKET_DIR: '/run/x' }),
  port: 0,
  maxBodyBytes: MAX_BODY_BYTES,
};

export interface TransportOptions {
  readonly config?: Partial<Config>;
  readonly readiness?: () => Promise<Readiness>;
  readonly onOwnEvent?: ServerDeps['onOwnEvent'];
  readonly onClaimed?: ServerDeps['onClaimed'];
  readonly processMetrics?: ServerDeps['processMetrics'];
  readonly tokenCache?: ServerDeps['tokenCache'];
  readonly doors?: ServerDeps['doors'];
}

/** The server's dependencies: the given service, a silent logger and the rest. */
export function serverDeps(service: Service, options: TransportOptions = {}): ServerDeps {
  return {
    config: { ...SERVER_CONFIG, ...options.config },
    version: VERSION,
    service,
    doors: options.doors ?? [],
    token: TOKEN,
    refusals: {
      add: () => {},
      newErrorId: newId,
      totals: new Map(),
      recordSome: async () => {},
      close: async () => {},
    },
    tokenCache: options.tokenCache ?? {
      isFresh: true,
      holderOf: () => null,
      read: async () => null,
    },
    sessionKeys: { holderOf: async () => null, signerOf: async () => null },
    readiness: options.readiness ?? (async () => ({ status: 'ready', reasons: [] })),
    onOwnEvent: options.onOwnEvent ?? (() => () => undefined),
    onClaimed: options.onClaimed ?? (() => () => undefined),
    databaseFaults: { commitRetries: 8, leaseRenewalFailures: 9 },
    messageCounts: () => ({ ...createMessageCounts(), invalid: 3 }),
    outputFollowers: () => 0,
    egressTotals: () => ({
      outcomes: new Map([['allowed', 4]]),
      ...{ sentBytes: 5, receivedBytes: 6, open: 2 },
    }),
    auditStatus: () => ({ unsealedEvents: 7, differingHeads: 0 }),
    lastBackupAt: () => null,
    processMetrics: options.processMetrics ?? (async () => ''),
    logger: pino({ level: 'silent' }),
  };
}

/** Starts the real server on a free port, over the given service, and closes it when the test is over. */
export async function startTransport(
  service: Service,
  options: TransportOptions = {},
): Promise<TransportServer> {
  const log: Record<string, unknown>[] = [];
  const server = createServer({
    ...serverDeps(service, options),
    logger: pino({ level: 'warn' }, intoList(log)),
  });
  const { port } = await server.listen();
  onTestFinished(() => server.close(AbortSignal.abort()));
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    port,
    server,
    log,
    query: (query, variables) => sendQuery(origin, query, variables),
    connect: () => connect(port),
  };
}

function intoList(log: Record<string, unknown>[]): Writable {
  return new Writable({
    write(line, _encoding, done) {
      log.push(JSON.parse(String(line)));
      done();
    },
  });
}

async function sendQuery(
  origin: string,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<Answer> {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': TOKEN },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as Omit<Answer, 'status'>) };
}

interface Message {
  readonly id?: string;
  readonly type: string;
  readonly payload?: unknown;
}

export interface Connection {
  readonly socket: WebSocket;
  send(message: Message): void;
  /** Resolves with the next message not taken yet. Fails if the connection ends first. */
  take(): Promise<Message>;
  /** Resolves with the code that the connection was closed with. */
  readonly closed: Promise<number>;
}

/** A connection that has sent nothing yet. */
export function openSocket(port: number, headers: Record<string, string> = {}): Connection {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', {
    headers,
  });
  const messages: Message[] = [];
  const takers: { resolve: (message: Message) => void; reject: (error: Error) => void }[] = [];
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as Message;
    const taker = takers.shift();
    if (taker) taker.resolve(message);
    else messages.push(message);
  });
  const closed = new Promise<number>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', (code) => {
      for (const taker of takers) taker.reject(new Error(`Closed with ${code}.`));
      resolve(code);
    });
  });
  onTestFinished(() => socket.terminate());
  return {
    socket,
    closed,
    send: (message) => socket.send(JSON.stringify(message)),
    take() {
      const message = messages.shift();
      if (message) return Promise.resolve(message);
      return new Promise((resolve, reject) => takers.push({ resolve, reject }));
    },
  };
}

async function connect(port: number): Promise<Connection> {
  const connection = openSocket(port);
  await opened(connection);
  connection.send({ type: 'connection_init', payload: { 'x-Auth-Token': TOKEN } });
  const { type } = await connection.take();
  if (type !== 'connection_ack') throw new Error(`Expected connection_ack, got ${type}.`);
  return connection;
}

/** Resolves when the upgrade is done. */
export function opened({ socket }: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
}

// One operation over HTTP (a subscription as server-sent events) or over a WebSocket: the first answer to it.

interface Outcome {
  readonly data?: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors?: readonly unknown[] | undefined;
}

export type Ask = (
  query: string,
  variables?: Readonly<Record<string, unknown>>,
) => Promise<Outcome>;

/** What these functions need of a gateway. */
type Reachable = Pick<TestGateway, 'url' | 'token' | 'socket'>;

export async function askOverHttp(
  gateway: Reachable,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<Outcome> {
  const response = await postQuery(gateway, query, variables);
  const body = await response.text();
  const isEvents = response.headers.get('Content-Type')?.startsWith('text/event-stream');
  return JSON.parse(isEvents ? (/^data: (.+)$/m.exec(body)?.[1] ?? body) : body) as Outcome;
}

/** The whole answer, unparsed. */
export async function textOverHttp(gateway: Reachable, query: string): Promise<string> {
  return await (await postQuery(gateway, query, {})).text();
}

async function postQuery(
  { url, token }: Reachable,
  query: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<Response> {
  const isStream = query.startsWith('subscription');
  return await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-Auth-Token': token,
      Accept: isStream ? 'text/event-stream' : 'application/json',
    },
    body: JSON.stringify({ query, variables }),
  });
}

/** Gives the first answer, whether the protocol delivers it as a result or as an error. */
export function askOverWebSocket(
  gateway: Reachable,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const client = gateway.socket();
    client.subscribe<Record<string, unknown>>(
      { query, variables },
      {
        next: resolve,
        error: (error) => {
          if (Array.isArray(error)) resolve({ errors: error });
          else reject(error);
          void client.dispose();
        },
        complete: () => void client.dispose(),
      },
    );
  });
}

/** All messages of the operation, unparsed. */
export function textOverWebSocket({ url, token }: Reachable, query: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const send = (message: unknown) => socket.send(JSON.stringify(message));
    let all = '';
    socket.on('error', reject);
    socket.on('close', () => resolve(all));
    socket.on('open', () => send({ type: 'connection_init', payload: { 'X-Auth-Token': token } }));
    socket.on('message', (data) => {
      const message = String(data);
      const { type } = JSON.parse(message) as { type: string };
      if (type === 'connection_ack') send({ id: '1', type: 'subscribe', payload: { query } });
      else if (type === 'complete' || type === 'error') socket.close();
      all += message;
    });
  });
}
