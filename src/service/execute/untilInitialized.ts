import { within } from '../../async/within.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { Pool } from '../../pool/pool.ts';

/** A start takes well under a second. The limit allows for a machine or an engine that is very busy. */
const LIMIT_MS = 10_000;

/**
 * Resolves when the pool has taken over its workers. The first callers of a gateway that was just started wait for
 * that.
 * @throws POOL_INITIALIZING
 */
export async function untilInitialized(
  pool: Pick<Pool, 'isInitializing' | 'onChange'>,
): Promise<void> {
  if (!pool.isInitializing) return;
  let off = () => {};
  const initialized = new Promise<void>((resolve) => {
    off = pool.onChange(() => {
      if (!pool.isInitializing) resolve();
    });
  });
  try {
    await within(LIMIT_MS, initialized, () => {
      throw new DomainError(
        'POOL_INITIALIZING',
        'This gateway is still taking over its workers. Send the request again.',
        { retryAfterMs: RETRY_AFTER_MS },
      );
    });
  } finally {
    off();
  }
}
