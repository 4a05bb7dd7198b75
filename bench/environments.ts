/**
 * Measures what a session in an environment costs its user when a worker of the environment is idle: `openSession` and
 * the first `1+1` after it together, beside a `1+1` of a user who has a session in the same environment. The same for
 * sessions in no environment, so that what the environment adds is seen.
 *
 * `npm run bench -- environments [--samples N]`
 */
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { createTestEnvironment, poolStatus, release } from '../testkit/interpreter.ts';
import { until } from '../testkit/until.ts';
import type { Bench, BenchResult } from './suite/bench.ts';
import { difference } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { httpExecute, keptConnection } from './support/httpExecute.ts';
import { WAIT_MS } from './support/newUsers.ts';

/** How much longer `openSession` and the first `1+1` may take together than a later `1+1`. */
const AT_MOST_MS = 10;
const OPEN = 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { id } }';
const NAME = 'bench';

export const environmentsBench: Bench = {
  name: 'environments',
  about: 'the first call of a session in an environment, with an idle worker',
  isInBareRun: true,
  run: async ({ args, isShort, say }) => {
    const samples = { type: 'string', default: isShort ? '10' : '30' } as const;
    const { values } = parseArgs({ args: [...args], options: { samples } });
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
      MIN_IDLE_WORKERS: '1',
      MIN_IDLE_ENVIRONMENT_WORKERS: '1',
    });
    try {
      await createTestEnvironment(gateway, { name: NAME, setup: 'true' });
      say('the environment is built');
      return await measure(gateway, Number(values.samples));
    } finally {
      await gateway.destroy();
    }
  },
};

async function measure(gateway: TestGateway, samples: number): Promise<BenchResult> {
  const steady = httpExecute({ ...gateway, userUuid: 'steady' });
  const opens = keptConnection(gateway.url, gateway.token);
  await openIn(opens, { userUuid: 'steady', environment: NAME });
  const [base, environment, plain] = await takeTurns(
    [
      { name: 'of a user with a session', roundTrip: () => steady('1+1', '2') },
      { name: 'openSession in an environment, and the first', roundTrip: newUser(gateway, NAME) },
      { name: 'openSession in none, and the first', roundTrip: newUser(gateway, null) },
    ],
    { samples, warmUp: 5 },
  );
  return {
    comparisons: [
      { name: '1+1 in a new session of an environment', unit: 'ms', base, measured: environment },
      { name: '1+1 in a new session of none', unit: 'ms', base, measured: plain },
    ],
    figures: [
      difference(
        'openSession in an environment and the first 1+1: more than a later one',
        base,
        environment,
        AT_MOST_MS,
      ),
    ],
  };
}

/** In each turn, a new user opens and releases a session. The turn ends when a worker is idle again. */
function newUser(gateway: TestGateway, environment: string | null): () => Promise<number> {
  const connection = keptConnection(gateway.url, gateway.token);
  let last = 0;
  return async () => {
    last += 1;
    const userUuid = `${environment ?? 'none'}-${last}`;
    const execute = httpExecute({ ...gateway, userUuid });
    const opened = await openIn(connection, { userUuid, environment });
    const took = opened + (await execute('1+1', '2'));
    await release(gateway, userUuid);
    await until('the pool at rest', () => isAtRest(gateway), WAIT_MS);
    return took;
  };
}

/** One worker of each kind is idle, and only the user with a session has a worker. */
async function isAtRest(gateway: TestGateway): Promise<boolean> {
  const { startingWorkers, busyWorkers, idleWorkers } = await poolStatus(gateway);
  return startingWorkers === 0 && busyWorkers === 1 && idleWorkers === 2;
}

/** @returns how long the answer took, in milliseconds */
async function openIn(
  connection: ReturnType<typeof keptConnection>,
  input: { readonly userUuid: string; readonly environment: string | null },
): Promise<number> {
  const startedAt = performance.now();
  const answer = await connection.post('/graphql', { query: OPEN, variables: { input } });
  const tookMs = performance.now() - startedAt;
  if (!JSON.parse(answer).data?.openSession.id) throw new Error(answer);
  return tookMs;
}
