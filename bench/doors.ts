/**
 * Measures what a door costs: `1+1` through each door of one gateway, beside the same through GraphQL, and the door for
 * Jupyter beside Debian's jupyter-server with the same client. The door for E2B has a bench of its own, `e2b`.
 *
 * `npm run bench -- doors [--samples N] [--warm-up N]`
 */

import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import {
  type Channels,
  openChannels,
  startPlainJupyterServer,
} from './contenders/jupyterServer.ts';
import type { Bench, BenchResult, Comparison, Samples } from './suite/bench.ts';
import { difference } from './suite/statistics.ts';
import {
  type CodeRunner,
  type Contender,
  inTurns,
  type RoundTrip,
  takeTurns,
  withContenders,
} from './suite/takeTurns.ts';
import { httpExecute, keptConnection } from './support/httpExecute.ts';

/** As many as in the bench `execute`, because each door has code of its own for V8 to compile. */
const WARM_UP = 1_000;
/** For Debian's server. It is Python, which does not compile, and the door is warm already. */
const WARM_UP_AGAIN = 30;
const SAMPLES = 400;
/** By how much a door may be slower than GraphQL. */
const MAX_MORE_MS = 1;
const CODE = '1+1';
const RESULT = '2';

export const doorsBench: Bench = {
  name: 'doors',
  about: "1+1 through each door but E2B's, beside GraphQL; Jupyter's also beside Debian's server",
  isInBareRun: true,
  run: async ({ isShort, args }) => {
    const options = {
      samples: { type: 'string', default: String(isShort ? 120 : SAMPLES) },
      'warm-up': { type: 'string', default: String(isShort ? 300 : WARM_UP) },
    } as const;
    const { values } = parseArgs({ args: [...args], options });
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      DOORS: 'predecessor,mcp,jupyter',
      MIN_IDLE_WORKERS: '4',
    });
    try {
      return await withContenders(startsAt(gateway), async (contenders) => {
        const turns = { samples: Number(values.samples), isShuffled: true };
        const warmUp = Number(values['warm-up']);
        const besideGraphql = toGraphql(await takeTurns(contenders, { ...turns, warmUp }));
        const [, , , jupyter] = contenders;
        const besideDebian = await withContenders([startDebian], ([debian]) =>
          takeTurns([debian, jupyter], { ...turns, warmUp: WARM_UP_AGAIN }),
        );
        return {
          ...besideGraphql,
          comparisons: [...besideGraphql.comparisons, compare(...besideDebian)],
        };
      });
    } finally {
      await gateway.destroy();
    }
  },
};

/** GraphQL and the doors. Each has a token and a session of its own. */
function startsAt(gateway: TestGateway) {
  const { url } = gateway;
  type Caller = (url: string, token: string) => RoundTrip;
  const overHttp = (name: string, door: string, caller: Caller) => async () =>
    inTurns(runner(name, caller(url, await tokenFor(gateway, door))), CODE, RESULT);
  return [
    overHttp('GraphQL', 'graphql', graphqlCaller),
    overHttp("the predecessor's door", 'predecessor', predecessorCaller),
    overHttp('the door for MCP', 'mcp', mcpCaller),
    async () => {
      const { roundTrip, close } = await jupyterCaller(url, await tokenFor(gateway, 'jupyter'));
      return inTurns(runner('the door for Jupyter', roundTrip, close), CODE, RESULT);
    },
  ] as const;
}

function runner(name: string, roundTrip: RoundTrip, close = () => {}): CodeRunner {
  return { name, roundTrip, close: async () => close() };
}

async function startDebian(): Promise<Contender> {
  return inTurns(await startPlainJupyterServer(), CODE, RESULT);
}

function toGraphql([graphql, ...doors]: readonly [Samples, ...Samples[]]): BenchResult {
  return {
    comparisons: doors.map((door) => compare(graphql, door)),
    figures: doors.map((door) =>
      difference(`${door.name}: more than GraphQL`, graphql, door, MAX_MORE_MS),
    ),
  };
}

function compare(base: Samples, measured: Samples): Comparison {
  return { name: `${measured.name} to ${base.name}`, unit: 'ms', base, measured };
}

// A client for each door, equally thin: one kept connection, the bytes of the wire, and a look at the result.

const USER = 'bench';
const CREATE = 'mutation ($input: CreateTokenInput!) { createToken(input: $input) { secret } }';

/** Makes a token with the role TENANT, for this door only. @returns its secret */
export async function tokenFor({ graphql }: TestGateway, door: string): Promise<string> {
  const input = { name: door, role: 'TENANT', door: door.toUpperCase() };
  const { data, errors } = await graphql<{ createToken: { secret: string } }>(CREATE, { input });
  if (!data) throw new Error(JSON.stringify(errors));
  return data.createToken.secret;
}

/** `execute` over GraphQL. */
export function graphqlCaller(url: string, token: string): RoundTrip {
  return httpExecute({ url, token, userUuid: USER });
}

/** `POST /execute` of the predecessor. */
function predecessorCaller(url: string, token: string): RoundTrip {
  const connection = keptConnection(url, token);
  return async (code, expected) => {
    const startedAt = performance.now();
    const answer = await connection.post('/execute', { user_uuid: USER, code });
    const tookMs = performance.now() - startedAt;
    if (JSON.parse(answer).result_text !== expected) throw new Error(answer);
    return tookMs;
  };
}

/** The headers of each call by the official clients of versions 1 and 2, once client and server agree on a revision. */
const MCP_HEADERS = {
  Accept: 'application/json, text/event-stream',
  'MCP-Protocol-Version': '2025-11-25',
};

/** `tools/call` of `execute_code`, as hosts make it. */
function mcpCaller(url: string, token: string): RoundTrip {
  const connection = keptConnection(url, token, MCP_HEADERS);
  let id = 0;
  return async (code, expected) => {
    const startedAt = performance.now();
    id += 1;
    const params = { name: 'execute_code', arguments: { code, session_id: USER } };
    const call = { jsonrpc: '2.0', id, method: 'tools/call', params };
    const answer = await connection.post('/mcp', call);
    const tookMs = performance.now() - startedAt;
    if (messageIn(answer).result?.structuredContent?.result !== expected) throw new Error(answer);
    return tookMs;
  };
}

interface McpMessage {
  readonly result?: { readonly structuredContent?: { readonly result?: unknown } };
}

/** An answer is JSON, or a stream of events whose last one has the result. */
function messageIn(answer: string): McpMessage {
  const events = answer.split('\n').filter((line) => line.startsWith('data: '));
  return JSON.parse(events.at(-1)?.slice('data: '.length) ?? answer) as McpMessage;
}

/** Starts a kernel over REST and connects to it. Cells are sent over the WebSocket. */
async function jupyterCaller(url: string, token: string): Promise<Channels> {
  const kernels = `${url}/jupyter/api/kernels`;
  const headers = { Authorization: `token ${token}` };
  const started = await fetch(kernels, { method: 'POST', headers, body: '{"name":"python3"}' });
  const answer = await started.text();
  if (!started.ok) throw new Error(`${started.status} ${answer}`);
  const channels = `${kernels}/${JSON.parse(answer).id}/channels?session_id=${randomUUID()}`;
  return await openChannels(channels.replace('http', 'ws'), headers);
}
