import type { Logger } from 'pino';
import { repeat } from '../../async/repeat.ts';
import type { TokenBook } from './tokenBook.ts';

/**
 * How often a gateway checks whether tokens have changed. Because of this interval and STALE_MS (freshness.ts), a
 * revoked token ends at every gateway within a second, whatever happens to a gateway's connections.
 */
const POLL_INTERVAL_MS = 250;

/**
 * Keeps the tokens in memory up to date, even while no events arrive. It waits for nothing else, so that nothing delays
 * a check. Returns a function that stops it.
 */
export function watchTokens(book: Pick<TokenBook, 'refresh'>, logger: Logger): () => void {
  const closing = new AbortController();
  const { signal } = closing;
  /** Only the first failure is logged: there may be four a second. */
  let isFailing = false;

  async function poll(): Promise<void> {
    try {
      await book.refresh();
      if (isFailing) logger.info('Could check again whether tokens have changed');
      isFailing = false;
    } catch (err: unknown) {
      if (!isFailing && !signal.aborted)
        logger.warn({ err }, 'Could not check whether tokens have changed');
      isFailing = true;
    }
  }

  void repeat(POLL_INTERVAL_MS, signal, poll);
  return () => closing.abort();
}
