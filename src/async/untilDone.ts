import { pause } from './pause.ts';

/**
 * Repeats `attempt` until it succeeds or the signal is aborted. After each failure, `onFailure` reports the error and
 * returns how long to wait, in ms. A failure after the abort is not reported.
 * @returns the result of the attempt; null if the signal was aborted first
 */
export async function untilDone<T>(
  signal: AbortSignal,
  attempt: () => Promise<T>,
  onFailure: (error: unknown) => number,
): Promise<T | null> {
  while (!signal.aborted) {
    try {
      return await attempt();
    } catch (error: unknown) {
      if (signal.aborted) break;
      await pause(onFailure(error), signal);
    }
  }
  return null;
}
