/** Measures contenders in turns. */
import { createRandom } from '../../chaos/random.ts';
import type { Samples } from './bench.ts';

/** A system that is measured in turns with others. */
export interface Contender {
  readonly name: string;
  /** Does the measured operation once and resolves with the measured value. @throws Error if its answer was wrong */
  roundTrip(): Promise<number>;
  close(): Promise<void>;
}

export interface Turns {
  readonly samples: number;
  /** The number of first turns that are left out, because compilers and caches are still warming up. */
  readonly warmUp: number;
  /**
   * Whether each turn has an order of its own. In a fixed order, each contender always runs after the same other one,
   * and finds the caches and unfinished work of that one. That matters if all run in one process. @default false
   */
  readonly isShuffled?: boolean;
}

/** Fixed, so that two runs have the same orders. */
const SEED = 16;

/** Measures all contenders in turns, so that a busy machine affects all alike. @returns their samples, in order */
export async function takeTurns<const T extends readonly Pick<Contender, 'name' | 'roundTrip'>[]>(
  contenders: T,
  { samples, warmUp, isShuffled = false }: Turns,
): Promise<{ readonly [At in keyof T]: Samples }> {
  const random = createRandom(SEED);
  const series = contenders.map(({ name, roundTrip }) => ({
    roundTrip,
    samples: { name, values: [] as number[] },
  }));
  for (let turn = 0; turn < warmUp + samples; turn += 1) {
    for (const { roundTrip, samples } of isShuffled ? shuffled(series, random.next) : series) {
      const took = await roundTrip();
      if (turn >= warmUp) samples.values.push(took);
    }
  }
  return series.map(({ samples }) => samples) as unknown as { readonly [At in keyof T]: Samples };
}

function shuffled<T>(items: readonly T[], next: () => number): T[] {
  return items
    .map((item) => ({ item, place: next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}

/** Starts the contenders one after the other, and closes those that have started in reverse order. */
export async function withContenders<const T extends readonly (() => Promise<Contender>)[], R>(
  starts: T,
  use: (contenders: { readonly [At in keyof T]: Contender }) => Promise<R>,
): Promise<R> {
  const started: Contender[] = [];
  try {
    for (const start of starts) started.push(await start());
    return await use(started as { readonly [At in keyof T]: Contender });
  } finally {
    for (const { close } of started.toReversed()) await close();
  }
}

/**
 * Runs code and resolves with the milliseconds until its result arrived.
 * @throws Error if the result is not `expected`
 */
export type RoundTrip = (code: string, expected: string) => Promise<number>;

/** A started and warm system that runs code: Cellhouse, or one that it is compared with. */
export interface CodeRunner {
  readonly name: string;
  /** Always uses the same session and the same connection. */
  readonly roundTrip: RoundTrip;
  /** Ends everything that was started. May be called twice. */
  close(): Promise<void>;
}

/** A contender that runs the same code in each turn. */
export function inTurns(runner: CodeRunner, code: string, expected: string): Contender {
  const { name, roundTrip } = runner;
  return { name, roundTrip: () => roundTrip(code, expected), close: () => runner.close() };
}
