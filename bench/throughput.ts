/**
 * Measures executions per second with several numbers of users, beside the predecessor, and beside equally many stock
 * kernels on these cores, each with only its own client. Every user keeps state. Every answer is checked, except those
 * of the stock kernels.
 *
 * `npm run bench -- throughput [--users N]`: runs only the load with N users, 1, 8 or 25.
 */

import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { workerImage } from '../testkit/workerImage.ts';
import { type PredecessorKind, startPredecessor } from './contenders/predecessor.ts';
import type { Bench, Comparison, Target } from './suite/bench.ts';
import { type RoundTrip, takeTurns } from './suite/takeTurns.ts';
import { httpExecute } from './support/httpExecute.ts';
import { startStockKernel } from './support/stockKernel.ts';

// Cells that users run repeatedly. Each run, except of `1+1`, depends on the state that the last run left.

export interface Cell {
  readonly name: string;
  /** Runs once in each session. */
  readonly preparation: string;
  readonly code: string;
  /** The expected result of the `n`th run, counted from 1. */
  result(n: number): string;
}

const COUNT = 'x = x + 1; x';

/** Long code, which has to be compiled and run. */
const FIVE_KB = Array.from(
  { length: 60 },
  (_, n) =>
    `value_${n} = x + ${n}\nif value_${n} < 0: raise ValueError("it was less than nothing: " + str(value_${n}))`,
).join('\n');

export const SMALL: Cell = {
  name: 'small cells',
  preparation: 'x = 0; x',
  code: COUNT,
  result: String,
};

/** The cell by which all systems are compared. */
export const ONE_PLUS_ONE: Cell = {
  name: '1+1',
  preparation: '0',
  code: '1+1',
  result: () => '2',
};

export const LONG: Cell = {
  name: '5 KB of code',
  preparation: 'x = 0; x',
  code: `${FIVE_KB}\n${COUNT}`,
  result: String,
};

export const PANDAS: Cell = {
  name: 'pandas cells',
  preparation: `import pandas as pd
frame = pd.DataFrame({"key": list("abcd") * 250, "value": range(1000)})
x = 0; x`,
  code: `sums = frame.groupby("key")["value"].sum()\n${COUNT}`,
  result: String,
};

interface Rival {
  readonly start: (users: number) => Promise<Crowd>;
  readonly target?: Target;
}

interface Load {
  readonly users: number;
  readonly cells: readonly Cell[];
  readonly rivals: readonly Rival[];
}

const KERNELS: Rival = { start: startKernelCrowd, target: { atLeast: 0.8 } };
const PREDECESSOR: Rival = { start: predecessorCrowd('as it was'), target: { atLeast: 5 } };
const PREDECESSOR_AT_ITS_BEST: Rival = { start: predecessorCrowd('at its best') };

/** The predecessor takes part only in the load for which there is a target, because its workers start slowly. */
const LOADS: readonly Load[] = [
  { users: 1, cells: [SMALL], rivals: [KERNELS] },
  {
    users: 8,
    cells: [SMALL, LONG, PANDAS],
    rivals: [KERNELS, PREDECESSOR, PREDECESSOR_AT_ITS_BEST],
  },
  { users: 25, cells: [SMALL], rivals: [KERNELS] },
];
const SHORT_LOADS: readonly Load[] = [{ users: 8, cells: [SMALL], rivals: [KERNELS] }];
const ROUNDS = { samples: 5, warmUp: 2 };
const SHORT_ROUNDS = { samples: 3, warmUp: 1 };
const ROUND_S = 1.5;

export const throughputBench: Bench = {
  name: 'throughput',
  about: 'executions per second of 1, 8 and 25 users, beside the predecessor and the kernels alone',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({ args: [...args], options: { users: { type: 'string' } } });
    const all = isShort ? SHORT_LOADS : LOADS;
    const loads = values.users ? all.filter(({ users }) => users === Number(values.users)) : all;
    if (loads.length === 0) throw new Error(`There is no load of ${values.users} users.`);
    const comparisons: Comparison[] = [];
    for (const load of loads) {
      say(`${load.users} users`);
      comparisons.push(...(await measure(load, isShort ? SHORT_ROUNDS : ROUNDS)));
    }
    return { comparisons, figures: [] };
  },
};

async function measure(
  { users, cells, rivals }: Load,
  rounds: typeof ROUNDS,
): Promise<Comparison[]> {
  const crowds: Crowd[] = [];
  try {
    for (const start of [startCellhouseCrowd, ...rivals.map(({ start }) => start)])
      crowds.push(await start(users));
    const comparisons: Comparison[] = [];
    for (const cell of cells) {
      for (const crowd of crowds) await crowd.prepare(cell);
      const contenders = crowds.map(({ name, rate }) => ({
        name,
        roundTrip: () => rate(cell, ROUND_S),
      }));
      const [measured, ...bases] = await takeTurns(contenders, rounds);
      for (const [at, { target }] of rivals.entries()) {
        const base = bases[at];
        if (!base || !measured) continue;
        const name = `${cell.name}, ${users} at once, to ${base.name}`;
        comparisons.push({ name, unit: '1/s', base, measured, ...(target ? { target } : {}) });
      }
    }
    return comparisons;
  } finally {
    for (const crowd of crowds.toReversed()) await crowd.close();
  }
}

// Crowds: many users at once, each of whom runs the next cell when the last one has been answered.

interface Crowd {
  readonly name: string;
  prepare(cell: Cell): Promise<void>;
  /**
   * Runs all users for this long. @returns executions per second of all together.
   * @throws Error if an answer was wrong
   */
  rate(cell: Cell, seconds: number): Promise<number>;
  close(): Promise<void>;
}

const MS_PER_S = 1_000;

/** Workers get all CPUs, because the systems that Cellhouse is compared with have no limits. */
async function startCellhouseCrowd(users: number): Promise<Crowd> {
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '0',
    MAX_TOTAL_WORKERS: String(users),
    WORKER_CPUS: String(cpus().length),
    WORKER_WAIT_TIMEOUT_MS: '120000',
  });
  return crowdOf(gateway, users, () => gateway.destroy());
}

/** The users of a gateway that runs already. Each needs a worker. */
export function crowdOf(
  { url, token }: Pick<TestGateway, 'url' | 'token'>,
  users: number,
  close: () => Promise<void> = async () => undefined,
): Crowd {
  const roundTrips = namesOf(users).map((userUuid) => httpExecute({ url, token, userUuid }));
  return ofCallers('execute over HTTP, durable', roundTrips, close);
}

function predecessorCrowd(kind: PredecessorKind): (users: number) => Promise<Crowd> {
  return async (users) => {
    const predecessor = await startPredecessor({ kind, idleWorkers: users });
    const roundTrips = namesOf(users).map(predecessor.roundTripOf);
    return ofCallers(predecessor.name, roundTrips, () => predecessor.close());
  };
}

function namesOf(users: number): string[] {
  return Array.from({ length: users }, (_, n) => `user-${n}`);
}

function ofCallers(
  name: string,
  roundTrips: readonly RoundTrip[],
  close: () => Promise<void>,
): Crowd {
  let runs = roundTrips.map(() => 0);
  return {
    name,
    prepare: async (cell) => {
      runs = roundTrips.map(() => 0);
      await Promise.all(roundTrips.map((roundTrip) => roundTrip(cell.preparation, '0')));
    },
    rate: async (cell, seconds) => {
      const startedAt = performance.now();
      const rates = roundTrips.map(async (roundTrip, user) => {
        const before = runs[user] ?? 0;
        let n = before;
        while (performance.now() - startedAt < seconds * MS_PER_S) {
          n += 1;
          await roundTrip(cell.code, cell.result(n));
        }
        runs[user] = n;
        return ((n - before) / (performance.now() - startedAt)) * MS_PER_S;
      });
      return sum(await Promise.all(rates));
    },
    close,
  };
}

/** One stock kernel for each user, with its own client beside it. Shows the most that the cores can do. */
async function startKernelCrowd(users: number): Promise<Crowd> {
  const started = await Promise.allSettled(
    namesOf(users).map(() => startStockKernel(workerImage())),
  );
  const kernels = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const close = async (): Promise<void> => {
    await Promise.all(kernels.map((kernel) => kernel.close()));
  };
  const failed = started.find((each) => each.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return {
    name: 'the kernels alone',
    prepare: async ({ preparation }) => {
      await Promise.all(kernels.map((kernel) => kernel.run(preparation)));
    },
    rate: async ({ code }, seconds) => {
      const done = await Promise.all(kernels.map((kernel) => kernel.run(code, seconds)));
      return sum(done.map((each) => (each.runs / each.ms) * MS_PER_S));
    },
    close,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
