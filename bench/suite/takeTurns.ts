import type { Samples } from './bench.ts';

/** Who is measured beside others. */
export interface Contender {
  readonly name: string;
  /** Does the thing once; resolves with what it took. @throws Error unless its answer was right */
  roundTrip(): Promise<number>;
  close(): Promise<void>;
}

export interface Turns {
  readonly samples: number;
  /** Turns that are left out: compilers and caches are still warming up. */
  readonly warmUp: number;
}

/** Each in its turn, again and again, so that a busy machine bears on all alike. In the order given. */
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

/** Starts them one after the other, and ends whoever has started, the last first. */
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
