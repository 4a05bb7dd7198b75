/** One HTTP connection that is kept open, like that of a client with a connection pool. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';

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
