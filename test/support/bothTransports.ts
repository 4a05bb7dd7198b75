/** One operation over HTTP (a subscription as server-sent events) or over a WebSocket: the first answer to it. */
import { WebSocket } from 'ws';
import type { TestGateway } from '../../testkit/gateway.ts';

export interface Outcome {
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
