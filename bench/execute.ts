/**
 * What an `execute` costs: the whole way of `1+1` through HTTP, the token, GraphQL, durable events and a worker, beside a
 * stock ipykernel's own round trip in the same image. And where its time goes, stage by stage; `--stages`: only that.
 */
import { parseArgs } from 'node:util';
import { startCellhouse, startStock } from './execute/contenders.ts';
import { traceStages } from './execute/traceStages.ts';
import type { Bench, Comparison, Samples, Target } from './suite/bench.ts';
import { type Contender, type Turns, takeTurns, withContenders } from './suite/takeTurns.ts';

/** Enough for the 95th percentile to rest on twenty samples. */
const TURNS = { samples: 400, warmUp: 50 };
const SHORT_TURNS = { samples: 120, warmUp: 50 };

interface Rival {
  readonly start: () => Promise<Contender>;
  /** Of the comparison, in the report. */
  readonly name: string;
  readonly target?: Target;
}

/** Those that `execute` is compared with. */
const RIVALS: readonly Rival[] = [
  { name: '1+1 to a stock kernel', start: startStock, target: { atMost: 1 } },
];

export const executeBench: Bench = {
  name: 'execute',
  about: '1+1 through HTTP, the token, GraphQL, durable events and a worker, beside a stock kernel',
  isInBareRun: true,
  run: async ({ isShort, args }) => {
    const options = { stages: { type: 'boolean', default: false } } as const;
    const { values } = parseArgs({ args: [...args], options });
    const cellhouse = await startCellhouse();
    try {
      if (values.stages) return await traceStages(cellhouse);
      const comparisons = await compareAll(cellhouse, isShort ? SHORT_TURNS : TURNS);
      if (isShort) return { comparisons, figures: [] };
      const traced = await traceStages(cellhouse);
      return { ...traced, comparisons: [...comparisons, ...traced.comparisons] };
    } finally {
      await cellhouse.close();
    }
  },
};

function compareAll(cellhouse: Contender, turns: Turns): Promise<Comparison[]> {
  const starts = RIVALS.map(({ start }) => start);
  return withContenders(starts, async (rivals) => {
    const [measured, ...bases] = await takeTurns([cellhouse, ...rivals], turns);
    return compare(bases, measured);
  });
}

function compare(bases: readonly Samples[], measured: Samples): Comparison[] {
  return RIVALS.flatMap(({ name, target }, at) => {
    const base = bases[at];
    return base ? [{ name, unit: 'ms', base, measured, ...(target ? { target } : {}) }] : [];
  });
}
