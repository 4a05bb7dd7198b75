import { DomainError } from '../../domain/errors.ts';
import { sealAll } from '../../events/chain/sealAll.ts';
import type { Database } from '../../events/database.ts';

/** A long history from a release without these numbers takes longer. The audit keeper then continues. */
const SEAL_LIMIT_MS = 5_000;
/** Numbering a long history takes minutes, so clients ask seldom. */
const RETRY_NUMBERING_AFTER_MS = 10_000;

/**
 * Seals the events that were recorded until now. Sealing numbers each event among the events of its tenant (decision
 * 0051). An event that is not sealed yet has no number, and is not listed for a tenant.
 * @throws POOL_INITIALIZING while a long history is being numbered
 */
export async function requireSealed({
  queries,
  gatewayId,
}: Pick<Database, 'queries' | 'gatewayId'>): Promise<void> {
  const end = performance.now() + SEAL_LIMIT_MS;
  let isLate = false;
  const isOver = () => {
    isLate = performance.now() > end;
    return isLate;
  };
  await sealAll(queries, { gatewayId, pauses: 0, isOver });
  if (!isLate) return;
  throw new DomainError(
    'POOL_INITIALIZING',
    'The events of all tenants are being numbered for the first time. Send the request again later.',
    { retryAfterMs: RETRY_NUMBERING_AFTER_MS },
  );
}
