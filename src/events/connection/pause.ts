import { setTimeout as delay } from 'node:timers/promises';

const FIRST_PAUSE_MS = 20;
/** A database that is back should be found at once. */
const MAX_PAUSE_MS = 1_000;

/** Between two attempts: doubles up to a limit, with jitter so that gateways do not come back in step. Ends early when `closing` is aborted. */
export async function pause(attempt: number, closing: AbortSignal): Promise<void> {
  const full = Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS);
  const waitMs = full * (0.5 + Math.random() / 2);
  if (closing.aborted) {
    await delay(waitMs);
    return;
  }
  await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
}
