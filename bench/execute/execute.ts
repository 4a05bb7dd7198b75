/**
 * What an `execute` costs: the whole way of `1+1` through HTTP, the token, GraphQL, durable events and a worker, beside a
 * stock ipykernel's own round trip in the same image; then beside other ways to serve such a kernel. And where its time
 * goes, stage by stage; `--stages`: only that.
 */
import { parseArgs } from 'node:util';
import type { Bench, Comparison, Target } from '../suite/bench.ts';
import { type Contender, type Turns, takeTurns, withContenders } from '../suite/takeTurns.ts';
import { predecessor, startCellhouse, startJupyter, startStock } from './contenders.ts';
import { traceStages } from './traceStages.ts';

/**
 * Enough for the 95th percentile to rest on twenty samples. A gateway is as fast as it gets when V8 has compiled what is called often,
 * after about so many calls; Python does not compile.
 */
const TURNS = { samples: 400, warmUp: 1_000 };
const SHORT_TURNS = { samples: 120, warmUp: 300 };
/** Five take each of them. Cellhouse is warm by then. */
const SERVER_TURNS = { samples: 300, warmUp: 30 };

interface Rival {
  readonly start: () => Promise<Contender>;
  /** Of the comparison, in the report. */
  readonly name: string;
  readonly target?: Target;
}

/** The one that the short form has as well: it needs no other image. These two take turns alone, so that no third cools their caches. */
const STOCK: readonly Rival[] = [
  { name: '1+1 to a stock kernel', start: startStock, target: { atMost: 1 } },
];

const SERVERS: readonly Rival[] = [
  { name: '1+1 to the predecessor', start: predecessor('as it was'), target: { atMost: 0.1 } },
  { name: '1+1 to the predecessor without its delay', start: predecessor('without delay') },
  { name: '1+1 to the predecessor at its best', start: predecessor('at its best') },
  { name: "1+1 to Debian's jupyter-server", start: startJupyter },
];

export const executeBench: Bench = {
  name: 'execute',
  about: '1+1 through HTTP, the token, GraphQL, durable events and a worker, beside other ways',
  isInBareRun: true,
  run: async ({ isShort, args }) => {
    const options = { stages: { type: 'boolean', default: false } } as const;
    const { values } = parseArgs({ args: [...args], options });
    const cellhouse = await startCellhouse();
    try {
      if (values.stages) return await traceStages(cellhouse);
      const besideStock = await compare(cellhouse, STOCK, isShort ? SHORT_TURNS : TURNS);
      if (isShort) return { comparisons: besideStock, figures: [] };
      const besideServers = await compare(cellhouse, SERVERS, SERVER_TURNS);
      const traced = await traceStages(cellhouse);
      const comparisons = [...besideStock, ...besideServers, ...traced.comparisons];
      return { ...traced, comparisons };
    } finally {
      await cellhouse.close();
    }
  },
};

/** All of them in one run, each in each turn. */
function compare(
  cellhouse: Contender,
  rivals: readonly Rival[],
  turns: Turns,
): Promise<Comparison[]> {
  const starts = rivals.map(({ start }) => start);
  return withContenders(starts, async (started) => {
    const [measured, ...bases] = await takeTurns([cellhouse, ...started], turns);
    return rivals.flatMap(({ name, target }, at) => {
      const base = bases[at];
      if (!base || !measured) return [];
      return [{ name, unit: 'ms', base, measured, ...(target ? { target } : {}) }];
    });
  });
}
