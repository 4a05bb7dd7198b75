/**
 * Measures how long users wait after a gateway was killed, for several numbers of open sessions and lengths of history:
 * from the start of the new process until it is ready, until the first answer, and until the next output of a running
 * stream.
 *
 * `npm run bench -- recovery [--events N,N...] [--sessions N,N...] [--restarts N] [--rebuild]`
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import type { TestGateway } from '../testkit/gateway.ts';
import { interrupt, submit } from '../testkit/interpreter.ts';
import type { Bench, BenchRun, Figure, Target } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { restartHard, startGatewayWithPast } from './support/benchDatabase.ts';
import { usualHistoryOf } from './support/history.ts';
import { httpExecute } from './support/httpExecute.ts';
import { leave, WAIT_MS } from './support/newUsers.ts';

const AT_MOST_MS = 1_000;

interface Extent {
  readonly sessions: readonly number[];
  readonly restarts: number;
  readonly isRebuilding: boolean;
}

export const recoveryBench: Bench = {
  name: 'recovery',
  about: 'from kill -9 to ready, the first answer and the resumed stream (--events, --sessions)',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        events: { type: 'string', default: isShort ? '1000' : '1000,100000' },
        sessions: { type: 'string', default: isShort ? '0,3' : '0,10' },
        restarts: { type: 'string', default: isShort ? '3' : '10' },
        rebuild: { type: 'boolean', default: false },
      },
    });
    const extent: Extent = {
      sessions: values.sessions.split(',').map(Number),
      restarts: Number(values.restarts),
      isRebuilding: values.rebuild,
    };
    if (extent.sessions.includes(1))
      throw new Error('--sessions: none, or two or more: one streams, and another calls.');
    const figures: Figure[] = [];
    for (const events of values.events.split(',').map(Number))
      figures.push(...(await measure(events, extent, say)));
    return { comparisons: [], figures };
  },
};

/** Measures one gateway with a growing number of sessions. */
async function measure(
  events: number,
  { sessions, restarts, isRebuilding }: Extent,
  say: BenchRun['say'],
): Promise<Figure[]> {
  say(`a past of ${events} events`);
  const gateway = await startGatewayWithPast(usualHistoryOf(events), {
    LOG_LEVEL: 'warn',
    MAX_TOTAL_WORKERS: String(Math.max(...sessions) + 1),
    MIN_IDLE_WORKERS: '1',
    WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
  });
  try {
    const figures: Figure[] = [];
    for (const count of [...sessions].sort((one, other) => one - other)) {
      const users = Array.from({ length: count }, (_, n) => `live-${n}`);
      say(`${count} sessions`);
      figures.push(
        ...figuresOf(`${events} events, ${count} sessions`, await kill(gateway, users, restarts)),
      );
    }
    if (isRebuilding) figures.push(...(await rebuildBesideUsers(gateway, 'live-0', events, say)));
    return figures;
  } finally {
    await gateway.destroy();
  }
}

async function kill(
  gateway: TestGateway,
  users: readonly string[],
  restarts: number,
): Promise<Recovered[]> {
  const executes = users.map((userUuid) => httpExecute({ ...gateway, userUuid }));
  await Promise.all(executes.map((execute, n) => execute(`kept = ${n}; kept`, String(n))));
  const recovered: Recovered[] = [];
  for (let turn = 0; turn < restarts; turn += 1) {
    const streaming = users[turn % users.length];
    const calling = users[(turn + 1) % users.length];
    recovered.push(
      streaming === undefined || calling === undefined
        ? await restartEmpty(gateway, `new-${turn}`)
        : await restartBesideStream(gateway, streaming, calling),
    );
  }
  // Every session must still have its variables after all the kills. The connections are new, because the old gateways
  // are gone.
  const after = users.map((userUuid) => httpExecute({ ...gateway, userUuid }));
  await Promise.all(after.map((execute, n) => execute('kept', String(n))));
  return recovered;
}

function figuresOf(name: string, recovered: readonly Recovered[]): Figure[] {
  const target = { atMost: AT_MOST_MS };
  const stream = recovered.flatMap(({ streamMs }) => streamMs ?? []);
  return [
    ...p50AndMax(
      `${name}: to ready`,
      recovered.map(({ readyMs }) => readyMs),
      target,
    ),
    ...p50AndMax(
      `${name}: to the first answer`,
      recovered.map(({ answerMs }) => answerMs),
      target,
    ),
    ...(stream.length > 0 ? p50AndMax(`${name}: to the resumed stream`, stream, target) : []),
  ];
}

// Kills a serving gateway with SIGKILL, starts it again, and measures from the start of its process.

/** Prints often enough to show when a stream goes on, and for longer than the restart takes. */
const TICKER = 'import time\nfor n in range(400): print(n, flush=True); time.sleep(0.05)';
const TICKER_LIMIT_MS = 60_000;

interface Recovered {
  /** Until `/readyz` answers 200, which means that every worker is adopted. */
  readonly readyMs: number;
  readonly answerMs: number;
  /** Null without a stream. */
  readonly streamMs: number | null;
}

/** Without sessions. The first answer is that of a new user, on the adopted idle worker. */
async function restartEmpty(gateway: TestGateway, newUser: string): Promise<Recovered> {
  const { startedAt, readyMs } = await restartHard(gateway);
  await httpExecute({ ...gateway, userUuid: newUser })('1+1', '2');
  const answerMs = performance.now() - startedAt;
  await leave(gateway, [newUser], { busyWorkers: 0, idleWorkers: 1 });
  return { readyMs, answerMs, streamMs: null };
}

/** With a stream of one user. Another user calls as soon as the gateway is ready. */
async function restartBesideStream(
  gateway: TestGateway,
  streaming: string,
  calling: string,
): Promise<Recovered> {
  const { id } = await submit(gateway, streaming, TICKER, { timeoutMs: TICKER_LIMIT_MS });
  await untilPrintedAfter(gateway, id, 0);
  const killedAt = Date.now();
  const { startedAt, readyMs } = await restartHard(gateway);
  const since = async (work: Promise<unknown>) => {
    await work;
    return performance.now() - startedAt;
  };
  const [answerMs, streamMs] = await Promise.all([
    since(httpExecute({ ...gateway, userUuid: calling })('1+1', '2')),
    since(untilPrintedAfter(gateway, id, killedAt)),
  ]);
  await interrupt(gateway, id);
  return { readyMs, answerMs, streamMs };
}

/** Resolves when a subscriber has received output that was printed after `at`, in milliseconds since 1970. */
async function untilPrintedAfter(gateway: TestGateway, id: string, at: number): Promise<void> {
  const query = `subscription ($id: ID!) { output(executionId: $id) { at } }`;
  const stream = gateway.socket().iterate<{ output: { at: string } }>({ query, variables: { id } });
  for await (const { data } of stream) if (Date.parse(data?.output.at ?? '') > at) return;
  throw new Error('The stream ended.');
}

/** The median and the maximum of samples in milliseconds. The target applies to the median. */
function p50AndMax(name: string, samples: readonly number[], target?: Target): Figure[] {
  const judged = target === undefined ? {} : { target };
  return [
    { name: `${name}, p50`, unit: 'ms', value: percentile(samples, 50), ...judged },
    { name: `${name}, max`, unit: 'ms', value: Math.max(...samples) },
  ];
}

// Measures `cellhouse rebuild` on a long history, and how much it slows down users.

/** Runs the command in its own process while a user works. */
async function rebuildBesideUsers(
  gateway: TestGateway,
  userUuid: string,
  events: number,
  say: BenchRun['say'],
): Promise<Figure[]> {
  const execute = httpExecute({ ...gateway, userUuid });
  const quiet: number[] = [];
  for (let n = 0; n < 200; n += 1) quiet.push(await execute('1+1', '2'));
  const startedAt = performance.now();
  const cli = new URL('../dist/cli.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [cli, 'rebuild'], { env: { ...gateway.env } });
  const printed = Promise.all([text(child.stdout), text(child.stderr)]);
  const exited = once(child, 'exit');
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  exited.then(over, over);
  const beside: number[] = [];
  try {
    while (!isOver) beside.push(await execute('1+1', '2'));
  } finally {
    child.kill('SIGKILL');
  }
  const tookS = (performance.now() - startedAt) / 1_000;
  const [code] = await exited;
  const [said, complaint] = await printed;
  if (code !== 0) throw new Error(`cellhouse rebuild ended with ${code}: ${complaint}`);
  say(said.trim());
  return [
    { name: 'rebuild, with its start', unit: 's', value: tookS },
    { name: 'rebuild', unit: 'events/s', value: events / tookS },
    ...p50AndMax('execute before it', quiet),
    ...p50AndMax('execute beside it', beside),
  ];
}
