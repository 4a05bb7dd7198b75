/** A seeded generator. The same seed gives the same decisions, but not the same interleaving of them. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** An integer in [low, high], both included. */
  between(low: number, high: number): number;
  /** One of `items`, or undefined if there are none. */
  pick<T>(items: readonly T[]): T | undefined;
  /** One of `items`, with a probability proportional to its weight. */
  pickWeighted<T extends { readonly weight: number }>(items: readonly T[]): T | undefined;
  /** A waiting time between independent events: exponentially distributed with this mean, at most four times it. */
  waitMs(mean: number): number;
  /** An independent generator, so that the numbers that one part draws do not affect another part. */
  fork(): Random;
}

const UINT32 = 2 ** 32;
/** 2^32 divided by the golden ratio. With this odd step a Weyl sequence visits every state once. */
const WEYL_STEP = 0x9e3779b9;

/** SplitMix32 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + WEYL_STEP) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / UINT32;
  };
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (items) => items[Math.floor(next() * items.length)],
    pickWeighted: (items) => {
      let rest = next() * items.reduce((sum, { weight }) => sum + weight, 0);
      for (const item of items) {
        rest -= item.weight;
        if (rest < 0) return item;
      }
      return items.at(-1);
    },
    waitMs: (mean) => Math.min(-Math.log(1 - next()) * mean, mean * 4),
    fork: () => createRandom(next() * UINT32),
  };
}
