/** Calls `execute` over one kept HTTP connection, like a client with a connection pool. */

import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { RoundTrip } from '../suite/takeTurns.ts';

const QUERY =
  'mutation ($input: ExecuteInput!) { execute(input: $input) { status resultText error { value } } }';

interface HttpExecuteOptions {
  readonly url: string;
  readonly token: string;
  readonly userUuid: string;
}

/** The measured time ends when the result has been read. */
export function httpExecute({ url, token, userUuid }: HttpExecuteOptions): RoundTrip {
  const connection = keptConnection(url, token);
  return async (code, expected) => {
    const startedAt = performance.now();
    const variables = { input: { userUuid, code } };
    const answer = await connection.post('/graphql', { query: QUERY, variables });
    const tookMs = performance.now() - startedAt;
    const execution = JSON.parse(answer).data?.execute;
    if (execution?.status !== 'OK' || execution.resultText !== expected) throw new Error(answer);
    return tookMs;
  };
}

// One HTTP connection that is kept open, like that of a client with a connection pool.

export interface KeptConnection {
  /** Resolves with the body of the answer, whatever its status. @throws Error if the connection breaks */
  post(path: string, body: unknown): Promise<string>;
}

/**
 * @param url without a path. @param token is sent as `X-Auth-Token`
 * @param further headers of each request
 */
export function keptConnection(
  url: string,
  token: string,
  further: Readonly<Record<string, string>> = {},
): KeptConnection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const send = (path: string, body: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        'X-Auth-Token': token,
        ...further,
      };
      const sending = request(`${url}${path}`, { method: 'POST', agent, headers }, resolve);
      sending.on('error', reject).end(body);
    });
  return {
    post: async (path, body) => text(await send(path, JSON.stringify(body))),
  };
}
