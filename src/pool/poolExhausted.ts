import { DomainError } from '../errors.ts';

/** What a caller is told to wait before it asks a full pool again: about one worker's start. */
const RETRY_AFTER_MS = 1_000;

/** What a request is told whose time to wait for a worker is over. @param failure why the last worker could not be made */
export function poolExhausted(
  maxTotalWorkers: number,
  waitedMs: number,
  failure: string | null,
): DomainError {
  if (failure !== null) {
    return new DomainError(
      'WORKER_START_FAILED',
      `No worker was ready within ${waitedMs} ms, and the last one could not be started. The operator finds the reason in the log.`,
      { retryAfterMs: RETRY_AFTER_MS },
    );
  }
  return new DomainError(
    'POOL_EXHAUSTED',
    `No worker was free within ${waitedMs} ms (the pool has at most ${maxTotalWorkers}). Release sessions that are done, or try again.`,
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
