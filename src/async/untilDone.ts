import { pause } from './pause.ts';

/**
 * Attempts something until it succeeds or the signal is aborted. After each failure before that, `onFailure` reports it
 * and says how long to wait, in ms.
 * @returns what the attempt gave; null if the signal was aborted first
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
