import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { acceptExecution } from './acceptExecution.ts';
import { hasCellOptions, hasOptions } from './requestOptions.ts';
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
  | 'ending'
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
  if (valid.isProcess) await deps.database.firstUse.allow('processes');
  else if (hasCellOptions(valid)) await deps.database.firstUse.allow('cells');
  else if (hasOptions(valid)) await deps.database.firstUse.allow('options');
  return await acceptExecution({ ...deps, onAccepting }, tenant, valid);
}
