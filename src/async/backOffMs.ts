export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before trying again. It doubles with each attempt (the first is 0) up to `maxMs`. Of that it is half to all,
 * at random, so that those who failed together do not come back together.
 * @param random from 0 to below 1
 */
export function backOffMs(
  { firstMs, maxMs }: BackOff,
  attempt: number,
  random: () => number = Math.random,
): number {
  return Math.min(firstMs * 2 ** attempt, maxMs) * (0.5 + random() / 2);
}
