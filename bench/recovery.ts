/**
 * What a long past and a full pool cost a gateway that is killed: from its start to ready, to the first answer of an old
 * session, and to the next output of a stream that was running. Then `cellhouse rebuild` over all that past, beside users.
 *
 * `npm run bench -- recovery [--events N] [--executions N] [--sessions N] [--restarts N]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { createClient } from '../src/events/client.ts';
import { ensureEmbeddedPostgres } from '../src/postgres/embeddedPostgres.ts';
import { startTestGateway, type TestGateway } from '../test/support/gateway.ts';
import { generateHistory } from './support/generateHistory.ts';
import { httpExecute } from './support/httpExecute.ts';
import { percentile } from './support/percentile.ts';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    executions: { type: 'string', default: '100000' },
    sessions: { type: 'string', default: '30' },
    restarts: { type: 'string', default: '10' },
  },
});
const size = { events: Number(values.events), executions: Number(values.executions) };
const sessions = Number(values.sessions);
const restarts = Number(values.restarts);
/** How often `/readyz` is asked; it bounds how exactly "ready" is known. */
const LOOK_MS = 5;
const NAME_CHARS = 45;
/** One line each: often enough to see when a stream goes on, for longer than the restart takes. */
const TICKER = 'import time\nfor n in range(200): print(n, flush=True); time.sleep(0.05)';

const gateway = await startTestGateway({
  LOG_LEVEL: 'warn',
  MAX_TOTAL_WORKERS: String(sessions + 2),
  MIN_IDLE_WORKERS: '0',
  WORKER_WAIT_TIMEOUT_MS: '300000',
});
try {
  await run(gateway);
} finally {
  await gateway.destroy();
}

async function run({ dataDir }: TestGateway): Promise<void> {
  await gateway.kill('SIGKILL');
  const generatedMs = await fill(dataDir);
  await gateway.restart();
  const executes = Array.from({ length: sessions }, (_, n) =>
    httpExecute({ ...gateway, userUuid: `live-${n}` }),
  );
  await Promise.all(executes.map((execute, n) => execute(`kept = ${n}; kept`, String(n))));
  console.log(
    `\n${size.events} events, ${size.executions} executions (made in ${seconds(generatedMs)}), ${sessions} live sessions, ${cpus().length} CPUs, Node ${process.version}`,
  );
  const samples = { ready: [] as number[], answer: [] as number[], stream: [] as number[] };
  for (let turn = 0; turn < restarts; turn += 1) {
    const { readyMs, answerMs, streamMs } = await restart(turn);
    samples.ready.push(readyMs);
    samples.answer.push(answerMs);
    samples.stream.push(streamMs);
  }
  head('from the start of the process, ms');
  for (const [name, of] of [
    ['ready (/readyz 200, every worker adopted)', samples.ready],
    ['first answer of an old session', samples.answer],
    ['next output of a running stream', samples.stream],
  ] as const)
    row(name, of);
  await Promise.all(executes.map((execute, n) => execute('kept', String(n))));
  console.log(`all ${sessions} sessions have their variables after ${restarts} kills`);
  await rebuild();
}

async function fill(dataDir: string): Promise<number> {
  const address = await ensureEmbeddedPostgres({ dataDir, logger: pino({ level: 'silent' }) });
  const client = createClient(address, {
    name: 'bench',
    maxConnections: 1,
    statementTimeoutMs: 0,
    answerTimeoutMs: 0,
  });
  const startedAt = performance.now();
  try {
    await generateHistory(client.sql, size);
  } finally {
    await client.close(1_000);
  }
  return performance.now() - startedAt;
}

/** Kills the gateway while one session streams, starts it again, and takes the times. */
async function restart(turn: number) {
  const user = `live-${turn % sessions}`;
  const submit = `mutation ($input: ExecuteInput!) { submit(input: $input) { id } }`;
  const input = { userUuid: user, code: TICKER, timeoutMs: 60_000 };
  const answer = await gateway.graphql<{ submit: { id: string } }>(submit, { input });
  const id = answer.data?.submit.id ?? '';
  const before = await nextOutput(id, 0);
  await gateway.kill('SIGKILL');
  const startedAt = performance.now();
  const starting = gateway.restart();
  const readyMs = await ready(startedAt);
  await starting;
  const other = httpExecute({ ...gateway, userUuid: `live-${(turn + 1) % sessions}` });
  await other('1+1', '2');
  const answerMs = performance.now() - startedAt;
  await nextOutput(id, before);
  const streamMs = performance.now() - startedAt;
  await gateway.graphql('mutation ($id: ID!) { interrupt(executionId: $id) { status } }', { id });
  return { readyMs, answerMs, streamMs };
}

async function ready(startedAt: number): Promise<number> {
  for (;;) {
    const isReady = await fetch(`${gateway.url}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (isReady) return performance.now() - startedAt;
    if (performance.now() - startedAt > 60_000) throw new Error('Not ready within a minute.');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The seq of the first output after `after`, once there is one. */
async function nextOutput(id: string, after: number): Promise<number> {
  const query = `subscription ($id: ID!, $after: Int) { output(executionId: $id, after: $after) { seq } }`;
  const client = gateway.socket();
  const stream = client.iterate<{ output: { seq: number } }>({ query, variables: { id, after } });
  for await (const { data } of stream) return data?.output.seq ?? 0;
  throw new Error('The stream ended.');
}

/** The command itself, in a process of its own, while a user works. */
async function rebuild(): Promise<void> {
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
  const exited = once(child, 'exit');
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  const beside: number[] = [];
  while (!isOver) beside.push(await execute('1+1', '2'));
  const tookMs = performance.now() - startedAt;
  const perSecond = Math.round(size.events / (tookMs / 1_000));
  console.log(`\n${printed.trim()}`);
  console.log(`${seconds(tookMs)} with its start, ${perSecond} events/s`);
  head('execute beside it, ms');
  row('before', quiet);
  row('meanwhile', beside);
}

function head(name: string): void {
  console.log(
    `\n${name.padEnd(NAME_CHARS)}${['p50', 'max'].map((of) => of.padStart(10)).join('')}`,
  );
}

function row(name: string, samples: readonly number[]): void {
  console.log(name.padEnd(NAME_CHARS) + cell(percentile(samples, 50)) + cell(Math.max(...samples)));
}

function cell(value: number): string {
  return value.toFixed(1).padStart(10);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
