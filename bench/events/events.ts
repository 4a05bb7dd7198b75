/** Measures the event store alone: appends, table growth, a rebuild of projections, audit queries on a long history. */
import { parseArgs } from 'node:util';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import type { Bench, BenchRun, Figure } from '../suite/bench.ts';
import { type BenchDatabase, startBenchDatabase, withSql } from '../support/benchDatabase.ts';
import { generateHistory } from '../support/generateHistory.ts';
import { usualHistory } from '../support/historySize.ts';
import { measureAppends } from './appends.ts';
import { measureAuditQueries } from './auditQueries.ts';
import { measureChain } from './chain.ts';
import { measureTableGrowth } from './tableGrowth.ts';

const EXECUTIONS = 100_000;
const SHORT_EXECUTIONS = 3_000;
const GROWTH_EXECUTIONS = 4_000;
const SHORT_GROWTH_EXECUTIONS = 400;
const MS_PER_S = 1_000;

export const eventsBench: Bench = {
  name: 'events',
  about:
    'Events/s and p50 of a commit at 1, 8 and 64 writers; growth per execution; rebuild; audit chain; audit queries (--executions N)',
  isInBareRun: true,
  run: async (run) => {
    const bench = await startBenchDatabase();
    try {
      return { comparisons: [], figures: await measure(bench, run) };
    } finally {
      await bench.destroy();
    }
  },
};

async function measure(bench: BenchDatabase, { isShort, args, say }: BenchRun): Promise<Figure[]> {
  const { values } = parseArgs({ args: [...args], options: { executions: { type: 'string' } } });
  const executions = Number(values.executions ?? (isShort ? SHORT_EXECUTIONS : EXECUTIONS));
  const { address } = bench;
  const database = await bench.open();
  say('appends');
  const rounds = isShort ? 1 : 5;
  const appends = await measureAppends(database, { rounds, msPerTurn: isShort ? 1_000 : 3_000 });
  say('table growth');
  const growing = isShort ? SHORT_GROWTH_EXECUTIONS : GROWTH_EXECUTIONS;
  const growth = await measureTableGrowth(address, database, growing);
  await database.close();
  say(`a past of ${executions} executions`);
  await withSql(address, (sql) =>
    generateHistory(sql, usualHistory(executions), { onAdded: (count) => say(`  ${count}`) }),
  );
  say('audit queries');
  const audit = await measureAuditQueries(address, isShort ? 3 : 10, executions);
  say('rebuild');
  const rebuild = await measureRebuild(bench);
  say('audit chain');
  return [...appends, ...growth, ...audit, rebuild, ...(await measureChain(address))];
}

/** Measures a rebuild of projections. Appends also write them, in their own transaction, so those include that cost. */
async function measureRebuild({ address }: BenchDatabase): Promise<Figure> {
  const startedAt = performance.now();
  const { events, differing } = await rebuildProjections(address);
  if (Object.values(differing).some((rows) => rows > 0)) throw new Error(JSON.stringify(differing));
  const seconds = (performance.now() - startedAt) / MS_PER_S;
  return { name: 'rebuild of the projections', unit: 'events/s', value: events / seconds };
}
