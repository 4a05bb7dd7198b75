import type { Logger } from 'pino';
import { repeat } from '../../async/repeat.ts';
import { within } from '../../async/within.ts';

/** How long a stopping gateway waits for a database that does not answer. Counts that are left then are lost. */
const CLOSE_LIMIT_MS = 2_000;
/** How often `recordSome` is called. */
const INTERVAL_MS = 1_000;

/**
 * Counts in memory that are recorded from time to time. Counts that are certainly not recorded are kept for the next
 * time.
 */
export interface Counted {
  /** Records the counts, if it is time. */
  recordSome(): Promise<void>;
  /** Records what is left. */
  close(): Promise<void>;
}

/** Records the counts from time to time. The returned function stops that, and records the rest. */
export function recordCounts(counts: readonly Counted[], logger: Logger): () => Promise<void> {
  const closing = new AbortController();

  async function record(how: 'recordSome' | 'close'): Promise<void> {
    for (const each of counts) {
      await each[how]().catch((err: unknown) =>
        logger.warn({ err }, 'Could not record uses of tokens or refused calls'),
      );
    }
  }

  const running = repeat(INTERVAL_MS, closing.signal, () => record('recordSome'));
  return async () => {
    closing.abort();
    const last = running.then(() => record('close'));
    await within(CLOSE_LIMIT_MS, last, () => undefined);
  };
}
