/** A seeded generator: the same seed makes the same decisions, though never the same interleaving of them. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** An integer in [low, high], both included. */
  between(low: number, high: number): number;
  /** One of `items`; undefined if there is none. */
  pick<T>(items: readonly T[]): T | undefined;
  /** One of `items`, each as likely as its weight says. */
  pickWeighted<T extends { readonly weight: number }>(items: readonly T[]): T | undefined;
  /** Waiting times of independent events: exponential around `mean`, at most four times that. */
  waitMs(mean: number): number;
  /** A generator of its own: what one part draws does not change what another is given. */
  fork(): Random;
}

const UINT32 = 2 ** 32;
/** The golden ratio's share of 2^32: a Weyl sequence visits every state once. */
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
