/**
 * What an `execute` costs: the whole way of `1+1` through HTTP, the token, GraphQL, durable events and a worker, beside a
 * stock ipykernel's own round trip in the same image.
 */
import { startCellhouse, startStock } from './execute/contenders.ts';
import type { Bench, Comparison, Samples, Target } from './suite/bench.ts';
import { type Contender, takeTurns, withContenders } from './suite/takeTurns.ts';

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
  run: async ({ isShort }) => {
    const starts = [startCellhouse, ...RIVALS.map(({ start }) => start)];
    const [measured, ...bases] = await withContenders(starts, (contenders) =>
      takeTurns(contenders, isShort ? SHORT_TURNS : TURNS),
    );
    return { comparisons: measured ? compare(bases, measured) : [], figures: [] };
  },
};

function compare(bases: readonly Samples[], measured: Samples): Comparison[] {
  return RIVALS.flatMap(({ name, target }, at) => {
    const base = bases[at];
    return base ? [{ name, unit: 'ms', base, measured, ...(target ? { target } : {}) }] : [];
  });
}
