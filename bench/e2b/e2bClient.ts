/** A client of the door for E2B, as thin as those of the other doors: kept connections, and the bytes of the wire. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { RoundTrip } from '../contenders/codeRunner.ts';
import { count, pieces, type Transfers } from '../files/transfers.ts';

const INTERPRETER_PORT = '49999';
const ENVD_PORT = '49983';

export interface Sandbox {
  readonly id: string;
  readonly key: string;
}

export interface E2bClient {
  create(): Promise<Sandbox>;
  kill(sandbox: Sandbox): Promise<void>;
  /** `runCode` in the sandbox. */
  runCode(sandbox: Sandbox): RoundTrip;
  /** `files.write` of a stream, and `files.read`. */
  transfers(sandbox: Sandbox): Transfers;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Iterable<Buffer>;
}

/** @param url without a path. @param token is sent as `X-API-KEY` */
export function createE2bClient(url: string, token: string): E2bClient {
  const agent = new Agent({ keepAlive: true });
  const api = { 'X-API-KEY': token, 'Content-Type': 'application/json' };

  async function ask({ method, path, headers, body }: Call): Promise<IncomingMessage> {
    const call = request(`${url}/e2b${path}`, { method, agent, headers });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      call.on('response', resolve).on('error', reject);
    });
    if (body === undefined) call.end();
    else await pipeline(Readable.from(body), call);
    const answer = await answered;
    if ((answer.statusCode ?? 500) >= 300)
      throw new Error(`${answer.statusCode} ${await text(answer)}`);
    return answer;
  }

  const json = (value: unknown) => [Buffer.from(JSON.stringify(value))];
  const inSandbox = ({ id, key }: Sandbox, port: string) => ({
    'E2b-Sandbox-Id': id,
    'E2b-Sandbox-Port': port,
    'X-Access-Token': key,
  });

  return {
    create: async () => {
      const body = json({ templateID: 'code-interpreter-v1', timeout: 300 });
      const answer = await ask({ method: 'POST', path: '/v2/sandboxes', headers: api, body });
      const { sandboxID, envdAccessToken } = JSON.parse(await text(answer));
      return { id: sandboxID, key: envdAccessToken };
    },
    kill: async ({ id }) => {
      await text(await ask({ method: 'DELETE', path: `/sandboxes/${id}`, headers: api }));
    },
    runCode: (sandbox) => {
      const headers = {
        ...inSandbox(sandbox, INTERPRETER_PORT),
        'Content-Type': 'application/json',
      };
      return async (code, expected) => {
        const startedAt = performance.now();
        const call = { method: 'POST', path: '/execute', headers, body: json({ code }) };
        const answer = await text(await ask(call));
        const tookMs = performance.now() - startedAt;
        if (resultIn(answer) !== expected) throw new Error(answer);
        return tookMs;
      };
    },
    transfers: (sandbox) => {
      const headers = inSandbox(sandbox, ENVD_PORT);
      return {
        up: async (name, bytes) => {
          const startedAt = performance.now();
          const path = `/files?path=${name}`;
          const octets = { ...headers, 'Content-Type': 'application/octet-stream' };
          await text(await ask({ method: 'POST', path, headers: octets, body: pieces(bytes) }));
          return performance.now() - startedAt;
        },
        down: async (name, bytes) => {
          const startedAt = performance.now();
          await count(await ask({ method: 'GET', path: `/files?path=${name}`, headers }), bytes);
          return performance.now() - startedAt;
        },
      };
    },
  };
}

/** The text of the result among the events of an execution, each in a line. Undefined: it did not end well. */
function resultIn(answer: string): unknown {
  const events = answer
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  if (events.at(-1)?.type !== 'end_of_execution') return undefined;
  return events.find(({ type }) => type === 'result')?.text;
}
