import { pause } from './pause.ts';

/** Does the work again and again, each time after a pause, until the signal is aborted. A failure of the work ends it. */
export async function repeat(
  pauseMs: number,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    await pause(pauseMs, signal);
    if (signal.aborted) return;
    await work();
  }
}
