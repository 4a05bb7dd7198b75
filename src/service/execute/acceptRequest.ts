import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { acceptExecution } from './acceptExecution.ts';
import { untilInitialized } from './untilInitialized.ts';
import { type ExecuteRequest, validateRequest } from './validateRequest.ts';

export type AcceptRequestDeps = Pick<
  ServiceDeps,
  | 'config'
  | 'database'
  | 'pool'
  | 'sessions'
  | 'requestHashes'
  | 'quotas'
  | 'newId'
  | 'now'
  | 'tokenEnd'
>;

/**
 * Validates a caller's request and records it. Resolves with the recorded execution.
 * @param onAccepting called with the execution's id right before the request is recorded. Nothing has happened until
 * then. Called again with a new id if another writer was first.
 * @throws BAD_USER_INPUT, POOL_INITIALIZING, and what {@link acceptExecution} throws
 */
export async function acceptRequest(
  deps: AcceptRequestDeps,
  { tenant }: Principal,
  request: ExecuteRequest,
  onAccepting: (id: ExecutionId) => void,
): Promise<Execution> {
  const valid = validateRequest(request, deps.config);
  await untilInitialized(deps.pool);
  return await acceptExecution({ ...deps, onAccepting }, tenant, valid);
}
