import type { Logger } from 'pino';
import { repeat } from '../../async/repeat.ts';
import { within } from '../../async/within.ts';

/** How long a gateway that stops waits for a database that does not answer. What is left then is not recorded. */
const CLOSE_LIMIT_MS = 2_000;
/** How often it is asked whether something is to be recorded. */
const INTERVAL_MS = 1_000;

/** What is counted in memory, and recorded from time to time. What could not be recorded is kept for the next time. */
export interface Counted {
  /** Records, if it is time. */
  recordSome(): Promise<void>;
  /** Records what is left. */
  close(): Promise<void>;
}

/** Records what is counted, until the returned function is called, which records the rest. */
export function recordCounts(counts: readonly Counted[], logger: Logger): () => Promise<void> {
  const closing = new AbortController();

  async function record(how: 'recordSome' | 'close'): Promise<void> {
    for (const each of counts) {
      await each[how]().catch((err: unknown) =>
        logger.warn({ err }, 'Could not record who calls and who is refused'),
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
