import { setTimeout as delay } from 'node:timers/promises';

const FIRST_PAUSE_MS = 20;
/** Short, because a database that is back should be found soon. */
const MAX_PAUSE_MS = 1_000;

/**
 * The pause between two attempts. It doubles up to a limit, with jitter, so that gateways do not all come back at the
 * same moment. It ends early when `closing` is aborted.
 */
export async function pause(attempt: number, closing: AbortSignal): Promise<void> {
  const full = Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS);
  const waitMs = full * (0.5 + Math.random() / 2);
  if (closing.aborted) {
    await delay(waitMs);
    return;
  }
  await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
}
