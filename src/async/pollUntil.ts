import { pause } from './pause.ts';

type NotYet = null | undefined | false;

/**
 * Calls `poll` until it returns a truthy value. Meant for changes that no event reports. The first call is immediate.
 * @returns that value; null if there was none within `limitMs`
 */
export async function pollUntil<T>(
  { everyMs, limitMs }: { readonly everyMs: number; readonly limitMs: number },
  poll: () => T | NotYet | Promise<T | NotYet>,
): Promise<T | null> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = await poll();
    if (seen) return seen;
    if (performance.now() > end) return null;
    await pause(everyMs);
  }
}
