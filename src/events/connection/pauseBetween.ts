import { backOffMs } from '../../async/backOffMs.ts';
import { pause } from '../../async/pause.ts';

/** A database that is back should be found immediately. */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };

/**
 * The pause between two attempts. It ends early if `closing` is aborted during it. If `closing` was aborted before, it
 * has its full length, so that retries are not a tight loop.
 */
export async function pauseBetween(attempt: number, closing: AbortSignal): Promise<void> {
  await pause(backOffMs(BACK_OFF, attempt), closing.aborted ? undefined : closing);
}
