/**
 * What a long past and a full pool cost a gateway that is killed: from its start to ready, to the first answer of an old
 * session, and to the next output of a stream that was running. Then `cellhouse rebuild` over all that past, beside users.
 *
 * `npm run bench -- recovery [--events N] [--executions N] [--sessions N] [--restarts N]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { TestGateway } from '../test/support/gateway.ts';
import type { Bench, BenchResult, Figure } from './suite/bench.ts';
import { restartHard, startGatewayWithPast } from './support/gatewayWithPast.ts';
import { httpExecute } from './support/httpExecute.ts';
import { percentile } from './support/percentile.ts';

/** One line each: often enough to see when a stream goes on, for longer than the restart takes. */
const TICKER = 'import time\nfor n in range(200): print(n, flush=True); time.sleep(0.05)';

interface Extent {
  readonly events: number;
  readonly executions: number;
  readonly sessions: number;
  readonly restarts: number;
}

export const recoveryBench: Bench = {
  name: 'recovery',
  about: 'what a long past and a full pool cost a gateway that is killed; rebuilding beside users',
  isInBareRun: false,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        events: { type: 'string', default: isShort ? '10000' : '1000000' },
        executions: { type: 'string', default: isShort ? '1000' : '100000' },
        sessions: { type: 'string', default: isShort ? '3' : '30' },
        restarts: { type: 'string', default: isShort ? '3' : '10' },
      },
    });
    const extent = {
      events: Number(values.events),
      executions: Number(values.executions),
      sessions: Number(values.sessions),
      restarts: Number(values.restarts),
    };
    const settings = {
      LOG_LEVEL: 'warn',
      MAX_TOTAL_WORKERS: String(extent.sessions + 2),
      MIN_IDLE_WORKERS: '0',
      WORKER_WAIT_TIMEOUT_MS: '300000',
    };
    say(`a past of ${extent.events} events, ${extent.executions} executions`);
    const gateway = await startGatewayWithPast(extent, settings);
    try {
      return await measure(gateway, extent, say);
    } finally {
      await gateway.destroy();
    }
  },
};

async function measure(
  gateway: TestGateway,
  extent: Extent,
  say: (line: string) => void,
): Promise<BenchResult> {
  const { events, sessions, restarts } = extent;
  const executes = Array.from({ length: sessions }, (_, n) =>
    httpExecute({ ...gateway, userUuid: `live-${n}` }),
  );
  await Promise.all(executes.map((execute, n) => execute(`kept = ${n}; kept`, String(n))));
  const samples = { ready: [] as number[], answer: [] as number[], stream: [] as number[] };
  for (let turn = 0; turn < restarts; turn += 1) {
    const { readyMs, answerMs, streamMs } = await restart(gateway, sessions, turn);
    samples.ready.push(readyMs);
    samples.answer.push(answerMs);
    samples.stream.push(streamMs);
  }
  await Promise.all(executes.map((execute, n) => execute('kept', String(n))));
  say(`all ${sessions} sessions have their variables after ${restarts} kills`);
  const figures = [
    ...figuresOf('from the start after kill -9 to ready, every worker adopted', samples.ready),
    ...figuresOf(
      'from the start after kill -9 to the first answer of an old session',
      samples.answer,
    ),
    ...figuresOf(
      'from the start after kill -9 to the next output of a running stream',
      samples.stream,
    ),
    ...(await rebuild(gateway, events, say)),
  ];
  return { comparisons: [], figures };
}

/** Kills the gateway while one session streams, starts it again, and takes the times. */
async function restart(gateway: TestGateway, sessions: number, turn: number) {
  const user = `live-${turn % sessions}`;
  const submit = `mutation ($input: ExecuteInput!) { submit(input: $input) { id } }`;
  const input = { userUuid: user, code: TICKER, timeoutMs: 60_000 };
  const answer = await gateway.graphql<{ submit: { id: string } }>(submit, { input });
  const id = answer.data?.submit.id ?? '';
  const before = await nextOutput(gateway, id, 0);
  const { startedAt, readyMs } = await restartHard(gateway);
  const other = httpExecute({ ...gateway, userUuid: `live-${(turn + 1) % sessions}` });
  await other('1+1', '2');
  const answerMs = performance.now() - startedAt;
  await nextOutput(gateway, id, before);
  const streamMs = performance.now() - startedAt;
  await gateway.graphql('mutation ($id: ID!) { interrupt(executionId: $id) { status } }', { id });
  return { readyMs, answerMs, streamMs };
}

/** The seq of the first output after `after`, once there is one. */
async function nextOutput(gateway: TestGateway, id: string, after: number): Promise<number> {
  const query = `subscription ($id: ID!, $after: Int) { output(executionId: $id, after: $after) { seq } }`;
  const client = gateway.socket();
  const stream = client.iterate<{ output: { seq: number } }>({ query, variables: { id, after } });
  for await (const { data } of stream) return data?.output.seq ?? 0;
  throw new Error('The stream ended.');
}

/** The command itself, in a process of its own, while a user works. */
async function rebuild(
  gateway: TestGateway,
  events: number,
  say: (line: string) => void,
): Promise<Figure[]> {
  const execute = httpExecute({ ...gateway, userUuid: 'live-0' });
  const quiet: number[] = [];
  for (let n = 0; n < 200; n += 1) quiet.push(await execute('1+1', '2'));
  const startedAt = performance.now();
  const cli = new URL('../dist/cli.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [cli, 'rebuild'], { env: { ...gateway.env } });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  let isOver = false;
  void once(child, 'exit').then(() => {
    isOver = true;
  });
  const beside: number[] = [];
  while (!isOver) beside.push(await execute('1+1', '2'));
  const tookS = (performance.now() - startedAt) / 1_000;
  say(printed.trim());
  return [
    { name: 'rebuild, with its start', unit: 's', value: tookS },
    { name: 'rebuild', unit: 'events/s', value: events / tookS },
    ...figuresOf('execute before it', quiet),
    ...figuresOf('execute beside it', beside),
  ];
}

function figuresOf(name: string, samples: readonly number[]): Figure[] {
  return [
    { name: `${name}, p50`, unit: 'ms', value: percentile(samples, 50) },
    { name: `${name}, max`, unit: 'ms', value: Math.max(...samples) },
  ];
}
