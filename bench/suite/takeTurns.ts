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
}

/** Measures all contenders in turns, in the given order, so that a busy machine affects all alike. */
export async function takeTurns<const T extends readonly Pick<Contender, 'name' | 'roundTrip'>[]>(
  contenders: T,
  { samples, warmUp }: Turns,
): Promise<{ readonly [At in keyof T]: Samples }> {
  const series = contenders.map(({ name }) => ({ name, values: [] as number[] }));
  for (let turn = 0; turn < warmUp + samples; turn += 1) {
    for (const [at, contender] of contenders.entries()) {
      const took = await contender.roundTrip();
      if (turn >= warmUp) series[at]?.values.push(took);
    }
  }
  return series as { readonly [At in keyof T]: Samples };
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
