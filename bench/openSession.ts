/**
 * Measures `openSession` with an idle worker, and the first `1+1` after it, beside the first `1+1` of a new user whose
 * session opens by itself.
 *
 * `npm run bench -- openSession [--samples N]`
 */
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import type { Bench, Comparison } from './suite/bench.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { httpExecute, keptConnection } from './support/httpExecute.ts';
import { leave, serveNewUsers, WAIT_MS } from './support/newUsers.ts';

const OPEN = 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { id } }';
const OPTIONS = {
  metadata: [
    { key: 'team', value: 'red' },
    { key: 'task', value: '7' },
  ],
  idleTimeoutMs: 600_000,
  maxLifeMs: 600_000,
};
const VARIABLES = Array.from({ length: 10 }, (_, index) => ({
  name: `VARIABLE_${index}`,
  value: 'x'.repeat(100),
}));
/** The pool at rest: one idle worker. */
const REST = { busyWorkers: 0, idleWorkers: 1 };

export const openSessionBench: Bench = {
  name: 'openSession',
  about: 'openSession with an idle worker, beside the first execute of a new user',
  isInBareRun: true,
  run: async ({ args, isShort }) => {
    const samples = { type: 'string', default: isShort ? '10' : '50' } as const;
    const { values } = parseArgs({ args: [...args], options: { samples } });
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
      MIN_IDLE_WORKERS: '1',
    });
    try {
      return { comparisons: await measure(gateway, Number(values.samples)), figures: [] };
    } finally {
      await gateway.destroy();
    }
  },
};

async function measure(gateway: TestGateway, samples: number): Promise<Comparison[]> {
  await leave(gateway, [], REST);
  const then: Record<string, number[]> = { plain: [], given: [] };
  const opening = (kind: 'plain' | 'given', options: object) =>
    eachNewUser(gateway, kind, async (userUuid) => {
      const took = await open(gateway, { userUuid, ...options });
      then[kind]?.push(await httpExecute({ ...gateway, userUuid })('1+1', '2'));
      return took;
    });
  const [first, opened, given] = await takeTurns(
    [
      {
        name: 'the first 1+1 of a new user',
        roundTrip: eachNewUser(gateway, 'first', async (user) => {
          const [took = 0] = await serveNewUsers(gateway, [user]);
          return took;
        }),
      },
      { name: 'openSession', roundTrip: opening('plain', OPTIONS) },
      {
        name: 'openSession',
        roundTrip: opening('given', { ...OPTIONS, environmentVariables: VARIABLES }),
      },
    ],
    { samples, warmUp: 5 },
  );
  const after = (kind: string) => ({
    name: 'the first after openSession',
    values: then[kind]?.slice(-samples) ?? [],
  });
  const unit = 'ms';
  return [
    { name: 'openSession with metadata and times', unit, base: first, measured: opened },
    { name: 'openSession with ten variables, too', unit, base: first, measured: given },
    { name: '1+1 after openSession', unit, base: first, measured: after('plain') },
    { name: '1+1 after openSession with variables', unit, base: first, measured: after('given') },
  ];
}

/** Each turn is a new user, who releases the session before the next turn. */
function eachNewUser(
  gateway: TestGateway,
  prefix: string,
  use: (userUuid: string) => Promise<number>,
): () => Promise<number> {
  let last = 0;
  return async () => {
    last += 1;
    const userUuid = `${prefix}-${last}`;
    const took = await use(userUuid);
    await leave(gateway, [userUuid], REST);
    return took;
  };
}

async function open({ url, token }: TestGateway, input: object): Promise<number> {
  const connection = keptConnection(url, token);
  const startedAt = performance.now();
  const answer = await connection.post('/graphql', { query: OPEN, variables: { input } });
  const tookMs = performance.now() - startedAt;
  if (!JSON.parse(answer).data?.openSession.id) throw new Error(answer);
  return tookMs;
}
