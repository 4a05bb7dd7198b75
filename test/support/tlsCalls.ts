/** Calls of a gateway through a proxy with TLS, over HTTP/1.1, HTTP/2 and WebSocket. */
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { HOST_NAME, type TlsProxy } from './tlsProxy.ts';

export interface TlsCall {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable | Buffer | string;
  /** The address to call from. */
  readonly from?: string;
  readonly signal?: AbortSignal;
}

/** The answer's head, and its body as it arrives. */
export interface OpenAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Readable;
}

export interface TlsAnswer {
  readonly status: number;
  readonly headers: OpenAnswer['headers'];
  readonly text: string;
}

/** Resolves when the answer begins. An answer that begins before all of the body is sent ends the sending. */
export type Open = (call: TlsCall) => Promise<OpenAnswer>;

/** A client of HTTP/1.1. Each call has a connection of its own. */
export function http1Of({ port, certificate }: TlsProxy): Open {
  return ({ method = 'GET', path, headers, body, from, signal }) =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          ...{ host: '127.0.0.1', port, ca: certificate, servername: HOST_NAME, agent: false },
          ...{ method, path, headers: { host: HOST_NAME, ...lengthOf(body), ...headers } },
          ...(from !== undefined && { localAddress: from }),
          ...(signal && { signal }),
        },
        (answer) => {
          if (body instanceof Readable) body.unpipe(call);
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer });
        },
      );
      call.on('error', reject);
      if (body instanceof Readable) body.pipe(call);
      else call.end(body);
    });
}

export interface Http2 {
  readonly open: Open;
  close(): void;
}

/** A client of HTTP/2. All of its calls share one connection. */
export function http2Of({ port, certificate }: TlsProxy): Http2 {
  const session = connectHttp2(`https://${HOST_NAME}`, {
    createConnection: () =>
      connectTls({
        ...{ host: '127.0.0.1', port, ca: certificate, servername: HOST_NAME },
        ALPNProtocols: ['h2'],
      }),
  });
  session.on('error', () => undefined);
  const open: Open = ({ method = 'GET', path, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const stream = session.request(
        // By default, Node adds the port, which no browser does for 443.
        {
          ':authority': HOST_NAME,
          ':method': method,
          ':path': path,
          ...lengthOf(body),
          ...headers,
        },
        { ...(signal && { signal }), endStream: body === undefined },
      );
      stream.on('error', reject);
      stream.on('response', ({ ':status': status = 0, ...answered }) => {
        if (body instanceof Readable) body.unpipe(stream);
        resolve({ status, headers: answered, body: stream });
      });
      if (body instanceof Readable) body.pipe(stream);
      else if (body !== undefined) stream.end(body);
    });
  return { open, close: () => session.destroy() };
}

function lengthOf(body: TlsCall['body']): Record<string, string> {
  if (body === undefined || body instanceof Readable) return {};
  return { 'content-length': String(Buffer.byteLength(body)) };
}

/** Makes a call, and reads the whole answer. */
export async function ask(open: Open, call: TlsCall): Promise<TlsAnswer> {
  const { status, headers, body } = await open(call);
  return { status, headers, text: await text(body) };
}

export function graphqlCall(token: string, query: string, variables: object = {}): TlsCall {
  return {
    method: 'POST',
    path: '/graphql',
    headers: { 'content-type': 'application/json', 'x-auth-token': token },
    body: JSON.stringify({ query, variables }),
  };
}

/** A graphql-ws client that does not retry. */
export function socketOf({ url, certificate }: TlsProxy, token: string): Client {
  class Trusting extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(address, protocols, { ca: certificate });
    }
  }
  return createClient({
    url: `${url.replace('https', 'wss')}/graphql`,
    webSocketImpl: Trusting,
    connectionParams: { 'X-Auth-Token': token },
    retryAttempts: 0,
  });
}

// Output that prints the time, so that its delay on the way shows.

/** Prints the time in seconds `lines` times. */
export const clock = (lines: number, everySeconds: number) =>
  `import time\nfor _ in range(${lines}):\n    print(time.time(), flush=True)\n    time.sleep(${everySeconds})`;

const FOLLOW =
  'subscription ($id: ID!) { output(executionId: $id) { ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }';

interface Output {
  readonly text?: string;
  readonly execution?: { readonly status: string };
}

/** What a subscription of {@link clock} gave. */
export interface Followed {
  /** How long each line took to arrive. */
  readonly delaysMs: readonly number[];
  /** Null if the stream ended before the code. */
  readonly status: string | null;
}

/** Follows an execution by server-sent events. */
export async function followByEvents(open: Open, token: string, id: string): Promise<Followed> {
  const call = graphqlCall(token, FOLLOW, { id });
  const headers = { ...call.headers, accept: 'text/event-stream' };
  const { body } = await open({ ...call, headers });
  const { take, followed } = createFollowed();
  let rest = '';
  for await (const piece of body.setEncoding('utf8')) {
    const lines = (rest + String(piece)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue;
      take((JSON.parse(line.slice(6)) as { data: { output: Output } }).data.output);
    }
  }
  return followed();
}

/** Follows an execution over a WebSocket. */
export async function followBySocket(client: Client, id: string): Promise<Followed> {
  const { take, followed } = createFollowed();
  const results = client.iterate<{ output: Output }>({ query: FOLLOW, variables: { id } });
  for await (const { data } of results) if (data) take(data.output);
  return followed();
}

function createFollowed() {
  const delaysMs: number[] = [];
  let status: string | null = null;
  return {
    take: ({ text: printed, execution }: Output): void => {
      if (execution) status = execution.status;
      for (const line of (printed ?? '').split('\n').filter(Boolean))
        delaysMs.push(Date.now() - Number(line) * 1_000);
    },
    followed: (): Followed => ({ delaysMs, status }),
  };
}
