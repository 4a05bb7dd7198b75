/**
 * Measures how long a new user waits for the first `1+1`, in three cases that are compared in turns in one run. With an
 * idle worker: compared with a user who has a session. Without one: compared with a plain container of the same image
 * and limits, until its health check answers. Many new users at once without an idle worker: compared with as many
 * plain containers.
 *
 * `npm run bench -- session-start [--samples N] [--starts N] [--bursts N,N...] [--rounds N]`
 */
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import type { Bench, BenchResult, BenchRun, Comparison } from './suite/bench.ts';
import { difference } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { httpExecute } from './support/httpExecute.ts';
import { leave, serveNewUsers, startPlainContainers, WAIT_MS } from './support/newUsers.ts';

/** How much longer the first execute of a session may take than a later one. */
const WARM_AT_MOST_MS = 10;
/** How much longer a new user may wait than the start of a plain container takes. */
const EMPTY_AT_MOST_MS = 300;

export const sessionStartBench: Bench = {
  name: 'session-start',
  about: "a new user's first execute: with an idle worker, with none, and many at once",
  isInBareRun: true,
  run: async (run) => {
    const { samples, starts, bursts, rounds } = options(run);
    const warm = await withGateway({ MIN_IDLE_WORKERS: '1' }, (gateway) =>
      measureWarm(gateway, samples),
    );
    run.say('with an idle worker: done');
    const most = Math.max(1, ...bursts);
    const settings = { MIN_IDLE_WORKERS: '0', MAX_TOTAL_WORKERS: String(most) };
    return await withGateway(settings, async (gateway) => {
      const empty = await measureEmpty(gateway, starts);
      run.say('with no idle worker: done');
      const many: Comparison[] = [];
      for (const users of bursts) {
        many.push(...(await measureBurst(gateway, users, rounds)));
        run.say(`${users} at once: done`);
      }
      return {
        comparisons: [...warm.comparisons, ...empty.comparisons, ...many],
        figures: [...warm.figures, ...empty.figures],
      };
    });
  },
};

function options({ args, isShort }: BenchRun) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      samples: { type: 'string', default: isShort ? '10' : '50' },
      starts: { type: 'string', default: isShort ? '3' : '20' },
      bursts: { type: 'string', default: isShort ? '3' : '3,10' },
      rounds: { type: 'string', default: isShort ? '1' : '3' },
    },
  });
  const { samples, starts, rounds } = values;
  const bursts = values.bursts.split(',').filter(Boolean).map(Number);
  return { samples: Number(samples), starts: Number(starts), rounds: Number(rounds), bursts };
}

async function withGateway<T>(
  settings: Readonly<Record<string, string>>,
  use: (gateway: TestGateway) => Promise<T>,
): Promise<T> {
  const wait = { WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS) };
  const gateway = await startTestGateway({ LOG_LEVEL: 'warn', ...wait, ...settings });
  try {
    return await use(gateway);
  } finally {
    await gateway.destroy();
  }
}

async function measureWarm(gateway: TestGateway, samples: number): Promise<BenchResult> {
  const rest = { busyWorkers: 1, idleWorkers: 1 };
  const live = httpExecute({ ...gateway, userUuid: 'live' });
  await live('1+1', '2');
  await leave(gateway, [], rest);
  const newUser = createNewUser(gateway, 'warm', rest);
  const [base, measured] = await takeTurns(
    [
      { name: 'of a user with a session', roundTrip: () => live('1+1', '2') },
      { name: 'the first of a new user', roundTrip: newUser },
    ],
    { samples, warmUp: 5 },
  );
  return {
    comparisons: [{ name: '1+1 with an idle worker', unit: 'ms', base, measured }],
    figures: [
      difference(
        'the first of a new user: more than one in a session',
        base,
        measured,
        WARM_AT_MOST_MS,
      ),
    ],
  };
}

async function measureEmpty(gateway: TestGateway, samples: number): Promise<BenchResult> {
  const [base, measured] = await takeTurns(
    [
      { name: 'plain container', roundTrip: async () => first(await startPlainContainers(1)) },
      {
        name: 'a new user',
        roundTrip: createNewUser(gateway, 'empty', { busyWorkers: 0, idleWorkers: 0 }),
      },
    ],
    { samples, warmUp: 2 },
  );
  return {
    comparisons: [{ name: 'with no idle worker', unit: 'ms', base, measured }],
    figures: [
      difference(
        'with no idle worker: more than a container start',
        base,
        measured,
        EMPTY_AT_MOST_MS,
      ),
    ],
  };
}

/** Each turn is a new user, who releases the session before the next turn. */
function createNewUser(
  gateway: TestGateway,
  prefix: string,
  rest: Parameters<typeof leave>[2],
): () => Promise<number> {
  let last = 0;
  return async () => {
    last += 1;
    const users = [`${prefix}-${last}`];
    const took = first(await serveNewUsers(gateway, users));
    await leave(gateway, users, rest);
    return took;
  };
}

async function measureBurst(
  gateway: TestGateway,
  users: number,
  rounds: number,
): Promise<Comparison[]> {
  const each = { plain: [] as number[], users: [] as number[] };
  const last = { plain: [] as number[], users: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const plain = await startPlainContainers(users);
    const names = Array.from({ length: users }, (_, n) => `burst-${users}-${round}-${n}`);
    const served = await serveNewUsers(gateway, names);
    await leave(gateway, names, { busyWorkers: 0, idleWorkers: 0 });
    each.plain.push(...plain);
    each.users.push(...served);
    last.plain.push(Math.max(...plain));
    last.users.push(Math.max(...served));
  }
  return Object.entries({ each, last }).map(([which, of]) => ({
    name: `${users} at once, ${which}`,
    unit: 'ms',
    base: { name: 'plain containers', values: of.plain },
    measured: { name: 'new users', values: of.users },
  }));
}

function first([value]: readonly number[]): number {
  if (value === undefined) throw new RangeError('There is no sample.');
  return value;
}
