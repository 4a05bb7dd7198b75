/** `execute` over one kept HTTP connection, as a client with a connection pool does it. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';

/** Runs code and resolves with the milliseconds until its result was read. @throws Error unless it is `expected` */
export type HttpExecute = (code: string, expected: string) => Promise<number>;

const QUERY =
  'mutation ($input: ExecuteInput!) { execute(input: $input) { status resultText error { value } } }';

export interface HttpExecuteOptions {
  readonly url: string;
  readonly token: string;
  readonly userUuid: string;
}

export function httpExecute({ url, token, userUuid }: HttpExecuteOptions): HttpExecute {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const post = (body: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        'X-Auth-Token': token,
      };
      const sending = request(`${url}/graphql`, { method: 'POST', agent, headers }, resolve);
      sending.on('error', reject).end(body);
    });
  return async (code, expected) => {
    const startedAt = performance.now();
    const body = JSON.stringify({ query: QUERY, variables: { input: { userUuid, code } } });
    const answer = await text(await post(body));
    const tookMs = performance.now() - startedAt;
    const execution = JSON.parse(answer).data?.execute;
    if (execution?.status !== 'OK' || execution.resultText !== expected) throw new Error(answer);
    return tookMs;
  };
}
