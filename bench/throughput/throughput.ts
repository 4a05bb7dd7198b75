/**
 * Measures executions per second with several numbers of users. It is compared with the predecessor, and with equally
 * many stock kernels on these cores, each with only its own client. Every user keeps state, and every answer is
 * checked.
 *
 * `npm run bench -- throughput [--users N]`: runs only the load with N users, 1, 8 or 25.
 */
import { parseArgs } from 'node:util';
import type { Bench, Comparison, Target } from '../suite/bench.ts';
import { takeTurns } from '../suite/takeTurns.ts';
import { type Cell, LONG, PANDAS, SMALL } from './cells.ts';
import { type Crowd, predecessorCrowd, startCellhouseCrowd, startKernelCrowd } from './crowds.ts';

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

/** The predecessor takes part only where its target is, because each of its workers takes seconds to start. */
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
