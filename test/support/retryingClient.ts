/**
 * A client of several gateways. If its connection is refused or closed before the answer, it sends the same call to the
 * next gateway. Anything else that is not an answer is recorded as a failure.
 */
import { Agent, request } from 'node:http';
import type { GraphqlAnswer } from '../../testkit/gateway.ts';

export interface RetryingClient {
  /**
   * Calls until there is an answer. Resolves with its data, or null after a failure ({@link RetryingClient.failures}).
   */
  graphql<Data>(query: string, variables: Readonly<Record<string, unknown>>): Promise<Data | null>;
  readonly failures: readonly string[];
  /** How often a call went to another gateway because a connection was closed or refused. */
  readonly retries: number;
  /** How long the slowest call took, retries included. */
  readonly slowestMs: number;
  close(): void;
}

/** More retries in a row would mean that no gateway is left. */
const MAX_RETRIES = 50;
const CLOSED_CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'];

/** @param urls the URLs of all gateways, even of stopped ones. They are read anew for each attempt */
export function createRetryingClient(urls: readonly string[], token: string): RetryingClient {
  const agent = new Agent({ keepAlive: true });
  const failures: string[] = [];
  let current = 0;
  let retries = 0;
  let slowestMs = 0;

  async function untilAnswered(body: string): Promise<{ status: number; text: string }> {
    for (let attempt = 0; ; attempt += 1) {
      const url = urls[current % urls.length] ?? '';
      try {
        return await post(`${url}/graphql`, token, body, agent);
      } catch (error: unknown) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : '';
        if (!CLOSED_CODES.includes(code) || attempt === MAX_RETRIES) throw error;
        retries += 1;
        current += 1;
      }
    }
  }

  return {
    graphql: async <Data>(query: string, variables: Readonly<Record<string, unknown>>) => {
      const startedAt = performance.now();
      try {
        const { status, text } = await untilAnswered(JSON.stringify({ query, variables }));
        const answer = JSON.parse(text) as GraphqlAnswer<Data>;
        if (status === 200 && !answer.errors) return answer.data;
        failures.push(`HTTP ${status}: ${text}`);
      } catch (error: unknown) {
        failures.push(String(error));
      } finally {
        slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      }
      return null;
    },
    failures,
    get retries() {
      return retries;
    },
    get slowestMs() {
      return slowestMs;
    },
    close: () => agent.destroy(),
  };
}

function post(
  url: string,
  token: string,
  body: string,
  agent: Agent,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'X-Auth-Token': token };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
