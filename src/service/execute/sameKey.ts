/** Calls that are sent again with the idempotency key of an earlier one. */
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import { requestFacts } from '../../domain/requestFacts.ts';
import type { IdempotencyClaim } from '../../events/store/eventStore.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { ValidRequest } from './validateRequest.ts';

type SameKeyDeps = Pick<ServiceDeps, 'database' | 'requestHashes'>;

/**
 * The execution that holds the request's idempotency key. Null: none does, or the request has no key.
 * @throws IDEMPOTENCY_CONFLICT if the key was used for another request
 */
export async function underSameKey(
  { database: { queries }, requestHashes }: SameKeyDeps,
  tenant: string,
  request: ValidRequest,
): Promise<Execution | null> {
  const { userUuid, idempotencyKey: key } = request;
  if (key === null) return null;
  const holder = await queries.idempotencyKey(tenant, userUuid, key);
  if (!holder) return null;
  const { executionId, requestHash } = holder;
  const facts = requestFacts(request);
  const different = requestHashes.differences({ tenant, userUuid, key }, facts, requestHash);
  if (different.length === 0) return await queries.execution(executionId);
  throw new DomainError(
    'IDEMPOTENCY_CONFLICT',
    `idempotencyKey was used by this user for another request (execution ${executionId}). Different: ${different.join(', ')}. Take a new key.`,
    { field: 'idempotencyKey', executionId, different },
  );
}

/** The claim of the request's idempotency key, for its commit. Empty if the request has no key. */
export function idempotency(
  { requestHashes }: SameKeyDeps,
  tenant: string,
  request: ValidRequest,
  executionId: ExecutionId,
): { idempotency?: IdempotencyClaim } {
  const { idempotencyKey: key, userUuid } = request;
  if (key === null) return {};
  const requestHash = requestHashes.of({ tenant, userUuid, key }, requestFacts(request));
  return { idempotency: { tenant, userUuid, key, requestHash, executionId } };
}
