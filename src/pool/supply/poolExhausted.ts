import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { PoolDegradation } from '../../domain/poolStatus.ts';

/**
 * The error for a request that has waited too long for a worker.
 * @param degradation why workers cannot be made, if known
 */
export function poolExhausted(
  maxTotalWorkers: number,
  waitedMs: number,
  degradation: PoolDegradation | null,
): DomainError {
  if (degradation !== null) {
    return new DomainError(
      'WORKER_START_FAILED',
      `No worker was ready within ${waitedMs} ms. ${degradation.message} The operator finds the details in the log.`,
      { retryAfterMs: RETRY_AFTER_MS },
    );
  }
  return new DomainError(
    'POOL_EXHAUSTED',
    `No worker was free within ${waitedMs} ms (the pool has at most ${maxTotalWorkers}). Release sessions that are done, or try again.`,
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
