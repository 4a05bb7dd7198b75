/** Measures how many events per second the store takes, and how long a commit takes, for several numbers of writers. */
import type { Database } from '../../src/events/database.ts';
import type { Figure } from '../suite/bench.ts';
import { percentile } from '../support/percentile.ts';
import { createWriter, EVENTS_PER_EXECUTION, type Writer } from './writer.ts';

const WRITERS = [1, 8, 64];
const TARGET_EVENTS_PER_S = 5_000;
const MS_PER_S = 1_000;

export interface AppendsOptions {
  /** In each round, each number of writers has one turn. */
  readonly rounds: number;
  readonly msPerTurn: number;
}

interface Turn {
  readonly commitMs: number[];
  readonly eventsPerS: number;
}

/** All writers use the store of one gateway, which groups commits that wait at the same time. */
export async function measureAppends(
  database: Database,
  { rounds, msPerTurn }: AppendsOptions,
): Promise<Figure[]> {
  const most = Math.max(...WRITERS);
  const writers: Writer[] = [];
  for (let n = 0; n < most; n += 1) writers.push(await createWriter(database, `writer-${n}`));
  const turns = new Map<number, Turn[]>(WRITERS.map((count) => [count, []]));
  for (const count of WRITERS) await write(writers.slice(0, count), msPerTurn / 3);
  for (let round = 0; round < rounds; round += 1) {
    for (const count of WRITERS)
      turns.get(count)?.push(await write(writers.slice(0, count), msPerTurn));
  }
  return figures(turns);
}

/** Each writer starts its next execution when the previous one is recorded. */
async function write(writers: readonly Writer[], ms: number): Promise<Turn> {
  const commitMs: number[] = [];
  const startedAt = performance.now();
  const writeOn = async (writer: Writer): Promise<void> => {
    while (performance.now() - startedAt < ms) commitMs.push(...(await writer.execute()));
  };
  await Promise.all(writers.map(writeOn));
  const executions = commitMs.length / 2;
  const seconds = (performance.now() - startedAt) / MS_PER_S;
  return { commitMs, eventsPerS: (executions * EVENTS_PER_EXECUTION) / seconds };
}

function figures(turns: ReadonlyMap<number, readonly Turn[]>): Figure[] {
  const rates = [...turns].map(([count, of]) => ({
    count,
    of,
    rate: percentile(
      of.map(({ eventsPerS }) => eventsPerS),
      50,
    ),
  }));
  const most = Math.max(...WRITERS);
  return rates.flatMap(({ count, of, rate }) => {
    const writers = `${count} ${count === 1 ? 'writer' : 'writers'}`;
    const commitMs = of.flatMap((turn) => turn.commitMs);
    return [
      {
        name: `appends, ${writers}`,
        unit: 'events/s',
        value: rate,
        ...(count === most ? { target: { atLeast: TARGET_EVENTS_PER_S } } : {}),
      },
      { name: `one commit, p50, ${writers}`, unit: 'ms', value: percentile(commitMs, 50) },
    ];
  });
}
