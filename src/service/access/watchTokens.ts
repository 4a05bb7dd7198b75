import type { Logger } from 'pino';
import { repeat } from '../../async/repeat.ts';
import type { TokenBook } from './tokenBook.ts';

/**
 * How often a gateway looks whether tokens have changed. With STALE_MS of the book, a token that is revoked ends
 * everywhere within a second, whatever happens to a gateway's connections.
 */
const POLL_INTERVAL_MS = 250;

/**
 * Keeps the book up to date, also while no events come. Nothing else is waited for here, so that nothing delays a look.
 * Returns a function that stops it.
 */
export function watchTokens(book: Pick<TokenBook, 'refresh'>, logger: Logger): () => void {
  const closing = new AbortController();
  const { signal } = closing;
  /** Only the first failure is logged: there may be four a second. */
  let isFailing = false;

  async function poll(): Promise<void> {
    try {
      await book.refresh();
      if (isFailing) logger.info('Looks again whether tokens have changed');
      isFailing = false;
    } catch (err: unknown) {
      if (!isFailing && !signal.aborted)
        logger.warn({ err }, 'Could not look whether tokens have changed');
      isFailing = true;
    }
  }

  void repeat(POLL_INTERVAL_MS, signal, poll);
  return () => closing.abort();
}
