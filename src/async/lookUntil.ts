import { pause } from './pause.ts';

type NotYet = null | undefined | false;

/**
 * Looks until `look` gives something, for what no event tells of. The first look is at once.
 * @returns null: not within `limitMs`
 */
export async function lookUntil<T>(
  { everyMs, limitMs }: { readonly everyMs: number; readonly limitMs: number },
  look: () => T | NotYet | Promise<T | NotYet>,
): Promise<T | null> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) return null;
    await pause(everyMs);
  }
}
