/**
 * Measures what an `execute` costs: `1+1` over the whole path of HTTP, the token, GraphQL, durable events and a worker.
 * It is compared with the round trip of a stock ipykernel in the same image, and with other servers for such a kernel.
 * Then it measures where the time goes, stage by stage. With `--stages` it does only that.
 */
import { parseArgs } from 'node:util';
import { predecessor, startCellhouse, startJupyter, startStock } from './contenders/contenders.ts';
import type { Bench, Comparison, Target } from './suite/bench.ts';
import { type Contender, type Turns, takeTurns, withContenders } from './suite/takeTurns.ts';
import { traceStages } from './trace/traceStages.ts';

/**
 * With this many samples, twenty are above the 95th percentile. The warm-up is how many calls a gateway needs until V8
 * has compiled its hot functions. Python does not compile.
 */
const TURNS = { samples: 400, warmUp: 1_000 };
const SHORT_TURNS = { samples: 120, warmUp: 300 };
/** Fewer, because five contenders take part in each turn, and Cellhouse is already warm. */
const SERVER_TURNS = { samples: 300, warmUp: 30 };

interface Rival {
  readonly start: () => Promise<Contender>;
  /** The name of the comparison in the report. */
  readonly name: string;
  readonly target?: Target;
}

/**
 * The only rival in the short form, because a stock kernel needs no other image. It takes turns with Cellhouse alone,
 * so that no third contender evicts their caches.
 */
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

/** Compares Cellhouse with all rivals in one run. Each has its turn in every round. */
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
