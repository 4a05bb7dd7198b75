/**
 * Measures the door for E2B: `runCode('1+1')` beside the same through GraphQL, `Sandbox.create` beside `openSession`, and
 * 100 MB up and down beside the same over `/files`, all at one gateway and in turns.
 *
 * `npm run bench -- e2b [--samples N] [--warm-up N] [--creations N] [--transfers N] [--mb N]`
 */

import { Agent, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { execute } from '../testkit/interpreter.ts';
import { graphqlCaller, tokenFor } from './doors.ts';
import { count, createHttpTransfers, pieces, type Transfers } from './files.ts';
import type { Bench, BenchResult, Comparison, Figure } from './suite/bench.ts';
import { difference, median } from './suite/statistics.ts';
import { type RoundTrip, takeTurns } from './suite/takeTurns.ts';
import { keptConnection } from './support/httpExecute.ts';
import { leave } from './support/newUsers.ts';

const CODE = '1+1';
const RESULT = '2';
const USER = 'bench';
/** As many as in the bench `execute`, because the door has code of its own for V8 to compile. */
const WARM_UP = 1_000;
const SAMPLES = 400;
/** The home, which is half of the disk, has room for the old and the new file of each transfer. */
const DISK_MB = 1_024;
/** By how much `runCode` may be slower than GraphQL. */
const MAX_MORE_MS = 1.5;
const MAX_CREATE_MS = 30;
const OPEN = 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { id } }';

export const e2bBench: Bench = {
  name: 'e2b',
  about: 'runCode, Sandbox.create and 100 MB each way through the door for E2B, beside GraphQL',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        samples: { type: 'string', default: String(isShort ? 120 : SAMPLES) },
        'warm-up': { type: 'string', default: String(isShort ? 300 : WARM_UP) },
        creations: { type: 'string', default: isShort ? '10' : '50' },
        transfers: { type: 'string', default: isShort ? '3' : '10' },
        mb: { type: 'string', default: '100' },
      },
    });
    const gateway = await startTestGateway({
      ...{ LOG_LEVEL: 'warn', DOORS: 'e2b', MIN_IDLE_WORKERS: '1' },
      WORKER_DISK_MB: String(DISK_MB),
    });
    try {
      const client = createE2bClient(gateway.url, await tokenFor(gateway, 'e2b'));
      const created = await measureCreate(gateway, client, Number(values.creations));
      say('Sandbox.create: done');
      const sandbox = await client.create();
      const turns = { samples: Number(values.samples), warmUp: Number(values['warm-up']) };
      const code = await measureCode(gateway, client, { sandbox, ...turns });
      say('runCode: done');
      const transfers = { samples: Number(values.transfers), mb: Number(values.mb) };
      const files = await measureFiles(gateway, client, { sandbox, ...transfers });
      await client.kill(sandbox);
      return {
        comparisons: [...code.comparisons, ...created.comparisons, ...files],
        figures: [...code.figures, ...created.figures],
      };
    } finally {
      await gateway.destroy();
    }
  },
};

interface CodeTurns {
  readonly sandbox: Sandbox;
  readonly samples: number;
  readonly warmUp: number;
}

async function measureCode(
  gateway: TestGateway,
  client: E2bClient,
  { sandbox, ...turns }: CodeTurns,
): Promise<BenchResult> {
  const [overGraphql, runCode] = [
    graphqlCaller(gateway.url, await tokenFor(gateway, 'graphql')),
    client.runCode(sandbox),
  ];
  const [base, measured] = await takeTurns(
    [
      { name: 'GraphQL', roundTrip: () => overGraphql(CODE, RESULT) },
      { name: 'runCode', roundTrip: () => runCode(CODE, RESULT) },
    ],
    { ...turns, isShuffled: true },
  );
  return {
    comparisons: [{ name: 'runCode to GraphQL', unit: 'ms', base, measured }],
    figures: [difference('runCode: more than GraphQL', base, measured, MAX_MORE_MS)],
  };
}

/** Each turn finds an idle worker. */
async function measureCreate(
  gateway: TestGateway,
  client: E2bClient,
  samples: number,
): Promise<BenchResult> {
  const rest = { busyWorkers: 0, idleWorkers: 1 };
  await leave(gateway, [], rest);
  const connection = keptConnection(gateway.url, gateway.token);
  const [base, measured] = await takeTurns(
    [
      {
        name: 'openSession',
        roundTrip: async () => {
          const startedAt = performance.now();
          const variables = { input: { userUuid: USER, maxLifeMs: 300_000 } };
          const answer = await connection.post('/graphql', { query: OPEN, variables });
          const tookMs = performance.now() - startedAt;
          if (!JSON.parse(answer).data?.openSession.id) throw new Error(answer);
          await leave(gateway, [USER], rest);
          return tookMs;
        },
      },
      {
        name: 'Sandbox.create',
        roundTrip: async () => {
          const startedAt = performance.now();
          const sandbox = await client.create();
          const tookMs = performance.now() - startedAt;
          await client.kill(sandbox);
          await leave(gateway, [], rest);
          return tookMs;
        },
      },
    ],
    { samples, warmUp: 5 },
  );
  const target = { atMost: MAX_CREATE_MS };
  const name = 'Sandbox.create with an idle worker, p50';
  const figure: Figure = { name, unit: 'ms', value: median(measured.values), target };
  const comparison = { name: 'Sandbox.create to openSession', unit: 'ms', base, measured };
  return { comparisons: [comparison], figures: [figure] };
}

interface FileTurns {
  readonly sandbox: Sandbox;
  readonly samples: number;
  readonly mb: number;
}

async function measureFiles(
  gateway: TestGateway,
  client: E2bClient,
  { sandbox, samples, mb }: FileTurns,
): Promise<Comparison[]> {
  await execute(gateway, USER, CODE);
  const plain = createHttpTransfers(gateway, USER);
  const door = client.transfers(sandbox);
  const each = async (what: 'up' | 'down'): Promise<Comparison> => {
    const [base, measured] = await takeTurns(
      [
        { name: '/files', roundTrip: () => plain[what]('large', mb * 1_000_000) },
        { name: "the sandbox's files", roundTrip: () => door[what]('large', mb * 1_000_000) },
      ],
      { samples, warmUp: 1 },
    );
    return { name: `${mb} MB ${what}`, unit: 'ms', base, measured };
  };
  return [await each('up'), await each('down')];
}

// A client of the door for E2B, as thin as those of the other doors: kept connections, and the bytes of the wire.

const INTERPRETER_PORT = '49999';
const ENVD_PORT = '49983';

interface Sandbox {
  readonly id: string;
  readonly key: string;
}

interface E2bClient {
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
function createE2bClient(url: string, token: string): E2bClient {
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
