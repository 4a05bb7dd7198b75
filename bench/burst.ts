/**
 * Thirty new users at once, with no idle worker: until each has had an answer; beside thirty plain containers of the same
 * image with the same limits, all begun at once, until the health of each answers. Meanwhile a user with a session goes on
 * calling: what its calls cost beside the plain containers is what the load of the CPUs explains. Both take turns in one run.
 */
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { startTestGateway, type TestGateway } from '../test/support/gateway.ts';
import { startAgent } from '../test/support/kernelServers.ts';
import { httpExecute } from './support/httpExecute.ts';
import { percentile } from './support/percentile.ts';

const USERS = 30;
/** Each is half a minute of two busy CPUs. */
const ROUNDS = 3;
/** Between two calls of the user with a session. */
const PROBE_PAUSE_MS = 50;
const QUIET_MS = 3_000;
/** A machine that does other things as well may take long for thirty. */
const WAIT_MS = 300_000;

const gateway = await startTestGateway({
  LOG_LEVEL: 'warn',
  MIN_IDLE_WORKERS: '0',
  MAX_TOTAL_WORKERS: String(USERS + 1),
  WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
});
try {
  const probe = httpExecute({ url: gateway.url, token: gateway.token, userUuid: 'live' });
  await probe('1+1', '2');
  const [quietMs] = await beside(probe, () => delay(QUIET_MS));
  const plainMs: number[] = [];
  const burstMs: number[] = [];
  const besidePlainMs: number[] = [];
  const besideBurstMs: number[] = [];
  const worst = { plain: 0, burst: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    const [ofPlain, plain] = await beside(probe, startPlain);
    const [ofBurst, burst] = await beside(probe, () => startUsers(gateway, round));
    await leave(gateway, round);
    besidePlainMs.push(...ofPlain);
    besideBurstMs.push(...ofBurst);
    plainMs.push(...plain);
    burstMs.push(...burst);
    worst.plain += Math.max(...plain) / ROUNDS;
    worst.burst += Math.max(...burst) / ROUNDS;
    print(`round ${round + 1} of ${ROUNDS}, ms`, plain, burst);
  }
  print(`all rounds, ms`, plainMs, burstMs);
  console.log(
    `the last of ${USERS}, mean of the rounds: ${worst.plain.toFixed(0)} and ${worst.burst.toFixed(0)} ms, ${(worst.burst / worst.plain).toFixed(2)}x`,
  );
  console.log(
    `a call in a session, p50: ${p50(quietMs)} ms in quiet, ${p50(besidePlainMs)} ms beside plain containers, ${p50(besideBurstMs)} ms beside new users`,
  );
} finally {
  await gateway.destroy();
}

function p50(values: readonly number[]): string {
  return percentile(values, 50).toFixed(1);
}

function print(title: string, plain: readonly number[], burst: readonly number[]): void {
  const cells = (values: readonly number[]) =>
    [50, 95, 100].map((percent) => percentile(values, percent));
  const row = (name: string, values: readonly string[]) =>
    console.log(name.padEnd(36) + values.map((value) => value.padStart(10)).join(''));
  row(`\n${title}`, ['p50', 'p95', 'last']);
  row(
    'plain containers, healthy',
    cells(plain).map((ms) => ms.toFixed(0)),
  );
  row(
    'new users, served',
    cells(burst).map((ms) => ms.toFixed(0)),
  );
  const ratios = cells(burst).map((ms, index) => ms / (cells(plain)[index] ?? Number.NaN));
  row(
    'ratio',
    ratios.map((ratio) => `${ratio.toFixed(2)}x`),
  );
}

/** What the calls of the user with a session took while `work` went on, and its result. */
async function beside<T>(
  probe: (code: string, expected: string) => Promise<number>,
  work: () => Promise<T>,
): Promise<[number[], T]> {
  const tookMs: number[] = [];
  let isOver = false;
  const probing = (async () => {
    while (!isOver) {
      tookMs.push(await probe('1+1', '2'));
      await delay(PROBE_PAUSE_MS);
    }
  })();
  try {
    return [tookMs, await work()];
  } finally {
    isOver = true;
    await probing;
  }
}

/** Until the health of each answers, from when all were begun. */
async function startPlain(): Promise<number[]> {
  const startedAt = performance.now();
  const started = await Promise.all(
    Array.from({ length: USERS }, async () => {
      const agent = await startAgent();
      if (agent.target.kind !== 'agent') throw new Error('That is no agent.');
      await healthOf(agent.target.socketPath);
      return { agent, tookMs: performance.now() - startedAt };
    }),
  );
  for (const { agent } of started) await agent.close();
  return started.map(({ tookMs }) => tookMs);
}

function healthOf(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/health' }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`Its health is ${response.statusCode}.`));
    }).on('error', reject);
  });
}

function usersOf(round: number): string[] {
  return Array.from({ length: USERS }, (_, index) => `user-${round}-${index}`);
}

/** Until each has its answer, from when all called. */
function startUsers({ url, token }: TestGateway, round: number): Promise<number[]> {
  return Promise.all(
    usersOf(round).map((userUuid) => httpExecute({ url, token, userUuid })('1+1', '2')),
  );
}

async function leave(gateway: TestGateway, round: number): Promise<void> {
  for (const user of usersOf(round)) {
    const { errors } = await gateway.graphql(
      'mutation Leave($user: String!) { release(input: { userUuid: $user }) { released } }',
      { user },
    );
    if (errors) throw new Error(JSON.stringify(errors));
  }
}
