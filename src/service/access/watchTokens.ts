import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import type { TokenBook } from './tokenBook.ts';

/**
 * How often a gateway looks whether tokens have changed. With STALE_MS of the book, a token that is revoked ends
 * everywhere within a second, whatever happens to a gateway's connections.
 */
const LOOK_INTERVAL_MS = 250;

/** What is counted in memory and recorded from time to time. */
interface Recorded {
  recordSome(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Keeps the book up to date, also while no events come, and records what is counted. Returns a function that stops it,
 * and records the rest.
 */
export function watchTokens(
  book: Pick<TokenBook, 'look'>,
  counts: readonly Recorded[],
  logger: Logger,
): () => Promise<void> {
  const closing = new AbortController();
  const { signal } = closing;
  async function watch(): Promise<void> {
    for (;;) {
      await pause(LOOK_INTERVAL_MS, signal);
      if (signal.aborted) return;
      try {
        await book.look();
        for (const each of counts) await each.recordSome();
      } catch (err: unknown) {
        if (!signal.aborted) logger.warn({ err }, 'Could not look whether tokens have changed');
      }
    }
  }
  const watching = watch();
  return async () => {
    closing.abort();
    await watching;
    for (const each of counts) await each.close();
  };
}
