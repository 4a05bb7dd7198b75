export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before the next attempt. The wait doubles with each attempt (the first is 0) up to `maxMs`, and a
 * random part of up to half is taken off, so that callers that failed together do not all try again at the same time.
 * @param random gives a number from 0 to below 1
 */
export function backOffMs(
  { firstMs, maxMs }: BackOff,
  attempt: number,
  random: () => number = Math.random,
): number {
  return Math.min(firstMs * 2 ** attempt, maxMs) * (0.5 + random() / 2);
}
