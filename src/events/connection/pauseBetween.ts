import { backOffMs } from '../../async/backOffMs.ts';
import { pause } from '../../async/pause.ts';

/** A database that is back should be found at once. */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };

/** Between two attempts. Ends early when `closing` is aborted meanwhile; while closing it is whole, for a retry is no tight loop. */
export async function pauseBetween(attempt: number, closing: AbortSignal): Promise<void> {
  await pause(backOffMs(BACK_OFF, attempt), closing.aborted ? undefined : closing);
}
