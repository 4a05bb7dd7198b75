/**
 * Measures what it costs if 1, 100 and 1,000 followers follow one execution, in turns: the time until the last of them
 * has a print, compared with a single follower; the gateway's CPU time for each print and additional follower; and the
 * delay of its event loop.
 */

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { submit } from '../testkit/interpreter.ts';
import { until } from '../testkit/until.ts';
import { createHttpTransfers } from './files.ts';
import type { Bench, BenchResult } from './suite/bench.ts';
import { median } from './suite/statistics.ts';
import { cpuMs } from './support/processes.ts';

const COUNTS = [1, 100, 1_000] as const;
const SHORT_COUNTS = [1, 100] as const;
/** Each round takes some seconds and has 25 prints. So twelve rounds give 300 prints for each count. */
const ROUNDS = 12;
const SHORT_ROUNDS = 3;
const WARM_UP = 1;
const US_PER_MS = 1_000;

export const fanOutBench: Bench = {
  name: 'fan-out',
  about: 'one execution that 1, 100 and 1,000 follow: delay, CPU time, event loop',
  isInBareRun: true,
  run: async ({ isShort, say }) => {
    const counts = isShort ? SHORT_COUNTS : COUNTS;
    const rounds = new Map<number, Round[]>(counts.map((count) => [count, []]));
    const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
    try {
      for (let turn = -WARM_UP; turn < (isShort ? SHORT_ROUNDS : ROUNDS); turn += 1) {
        for (const count of counts) {
          const round = await runRound(gateway, count);
          if (turn >= 0) rounds.get(count)?.push(round);
        }
        say(`round ${turn + 1}`);
      }
    } finally {
      await gateway.destroy();
    }
    return resultOf(rounds);
  },
};

function resultOf(rounds: ReadonlyMap<number, readonly Round[]>): BenchResult {
  const [[, alone] = [1, []], ...others] = rounds;
  const base = { name: 'to a single follower', values: alone.flatMap(({ lastMs }) => lastMs) };
  const aloneCpuMs = median(alone.map(({ cpuMs }) => cpuMs));
  return {
    comparisons: others.map(([count, ofCount]) => ({
      name: `from a print to the last of ${count}`,
      unit: 'ms',
      base,
      measured: {
        name: `to the last of ${count}`,
        values: ofCount.flatMap(({ lastMs }) => lastMs),
      },
    })),
    figures: [
      ...others.map(([count, ofCount]) => ({
        name: `CPU time of the gateway, each print and further follower, of ${count}`,
        unit: 'us',
        value:
          ((median(ofCount.map(({ cpuMs }) => cpuMs)) - aloneCpuMs) / ((count - 1) * PRINTS)) *
          US_PER_MS,
      })),
      ...[...rounds].map(([count, ofCount]) => ({
        name: `event loop delay of the gateway, p99, ${count} follow`,
        unit: 'ms',
        value: median(ofCount.map(({ loopDelayMs }) => loopDelayMs)),
      })),
    ],
  };
}

// One round: an execution prints for some seconds, and many followers follow it.

const PRINTS = 25;
/** Pause between prints: long enough that a print reaches all followers before the next one, even on a slow machine. */
const LEAST_PAUSE_S = 0.05;
const PAUSE_OF_A_FOLLOWER_S = 0.00016;
const USER = 'bench';
const BEGIN = 'begin';
const TIMEOUT_MS = 120_000;
const MS_PER_S = 1_000;

interface Round {
  /** For each print, the milliseconds until the last follower received it. */
  readonly lastMs: readonly number[];
  readonly cpuMs: number;
  readonly loopDelayMs: number;
}

/** @throws Error if a follower missed a print */
export async function runRound(gateway: TestGateway, count: number): Promise<Round> {
  // It begins to print when all followers are connected: at a file, which the gateways of older commits take, too.
  const code = `import os, time
while not os.path.exists('${BEGIN}'):
    time.sleep(0.01)
os.remove('${BEGIN}')
for _ in range(${PRINTS}):
    time.sleep(${Math.max(LEAST_PAUSE_S, count * PAUSE_OF_A_FOLLOWER_S)})
    print(time.time())`;
  const { id } = await submit(gateway, USER, code, { timeoutMs: TIMEOUT_MS });
  const followers = await openFollowers(gateway, id, count);
  try {
    await until('all follow', async () => (await readMetrics(gateway)).followers === count);
    const cpuBefore = cpuMs(gateway.pid);
    await createHttpTransfers(gateway, USER).up(BEGIN, 0);
    const arrivals = [...(await followers.arrivals)];
    const missed = arrivals.filter(([, arrival]) => arrival.followers !== count);
    if (arrivals.length !== PRINTS || missed.length > 0)
      throw new Error(`${arrivals.length} prints came, ${missed.length} not to all.`);
    return {
      lastMs: arrivals.map(([printedAt, { lastAt }]) => lastAt - Number(printedAt) * MS_PER_S),
      cpuMs: cpuMs(gateway.pid) - cpuBefore,
      loopDelayMs: (await readMetrics(gateway)).loopDelayMs,
    };
  } finally {
    followers.close();
  }
}

// Opens many followers of one execution on few sockets, and records what each of them received, and when.

/** Followers on each socket, as with a proxy or a server that follows for its own users. */
const PER_SOCKET = 100;
const FOLLOW = `subscription ($id: ID!) { output(executionId: $id) {
  ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }`;

/** The arrival of one printed line. */
interface Arrival {
  /** How many followers have received it. */
  readonly followers: number;
  /** When the last of them received it, in milliseconds since 1970. */
  readonly lastAt: number;
}

interface Followers {
  /** Line -> its arrival. Resolves when all followers have received the end. Rejects if a socket is closed earlier. */
  readonly arrivals: Promise<ReadonlyMap<string, Arrival>>;
  close(): void;
}

async function openFollowers(
  gateway: TestGateway,
  executionId: string,
  count: number,
): Promise<Followers> {
  const arrivals = new Map<string, Arrival>();
  const sockets: WebSocket[] = [];
  const ends: Promise<void>[] = [];
  for (let rest = count; rest > 0; rest -= PER_SOCKET) {
    const socket = await openSocket(gateway);
    sockets.push(socket);
    ends.push(followOn(socket, executionId, Math.min(rest, PER_SOCKET), arrivals));
  }
  const all = Promise.all(ends).then(() => arrivals);
  // If the caller closes the followers early, nobody awaits this any more.
  all.catch(() => undefined);
  return {
    arrivals: all,
    close: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

async function openSocket({ url, token }: TestGateway): Promise<WebSocket> {
  const address = `${url.replace('http', 'ws')}/graphql`;
  const socket = new WebSocket(address, ['graphql-transport-ws']);
  await once(socket, 'open');
  const acknowledged = once(socket, 'message');
  send(socket, { type: 'connection_init', payload: { 'X-Auth-Token': token } });
  await acknowledged;
  return socket;
}

function send(socket: WebSocket, message: object): void {
  socket.send(JSON.stringify(message));
}

function followOn(
  socket: WebSocket,
  id: string,
  count: number,
  arrivals: Map<string, Arrival>,
): Promise<void> {
  let open = count;
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('message', (data) => {
      const lastAt = Date.now();
      const { type, payload } = JSON.parse(String(data));
      if (type === 'complete') open -= 1;
      else if (type === 'next')
        for (const line of linesOf(payload.data?.output?.text))
          arrivals.set(line, { followers: (arrivals.get(line)?.followers ?? 0) + 1, lastAt });
      else if (type !== 'ping') reject(new Error(String(data)));
      if (open === 0) resolve();
    });
    socket.once('close', (code) => reject(new Error(`The socket was closed with ${code}.`)));
  });
  for (let n = 0; n < count; n += 1)
    send(socket, {
      id: String(n),
      type: 'subscribe',
      payload: { query: FOLLOW, variables: { id } },
    });
  return ended;
}

function linesOf(text: string | undefined): string[] {
  return (text ?? '').split('\n').filter(Boolean);
}

// What following costs the gateway's process, except its CPU time.

interface GatewayMetrics {
  readonly followers: number;
  /** The 99th percentile since the last call. */
  readonly loopDelayMs: number;
}

async function readMetrics({ url, token }: TestGateway): Promise<GatewayMetrics> {
  const response = await fetch(`${url}/metrics`, { headers: { 'X-Auth-Token': token } });
  const body = await response.text();
  const gauge = (name: string) =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1] ?? Number.NaN);
  return {
    followers: gauge('cellhouse_output_followers'),
    loopDelayMs: gauge('cellhouse_event_loop_delay_p99_seconds') * MS_PER_S,
  };
}
