import { DomainError } from '../../domain/errors.ts';
import { type ContextId, parseId } from '../../domain/ids.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { isDefaultOf } from './openContext.ts';
import { type RequestContextDeps, recordContextRequest } from './recordContextRequest.ts';
import { untilContext } from './untilContext.ts';

/**
 * Deletes a context of the user's open session, and resolves when its kernel is gone, with all that it has started. What
 * runs in it ends as INTERRUPTED, and what is queued as CANCELLED. Works on any gateway. Idempotent.
 * @returns false if there was no such open context
 * @throws BAD_USER_INPUT for the default context, POOL_INITIALIZING
 */
export async function deleteContext(
  deps: RequestContextDeps,
  { tenant }: Principal,
  userUuid: string,
  given: string,
): Promise<boolean> {
  const { queries } = deps.database;
  const session = await queries.openSession(tenant, validateUserUuid(userUuid));
  const id = parseId<ContextId>(given);
  if (session === null || id === null) return false;
  if (isDefaultOf(session, id)) throw isDefault();
  const [context] = await queries.contexts([id]);
  if (!context || context.sessionId !== session.id || context.endedAt !== null) return false;
  await recordContextRequest(deps, id, 'RequestContextDelete');
  const ended = await untilContext(deps.database, id, () => false, 'The context was not deleted');
  return ended.endReason === 'deleted';
}

function isDefault(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    'contextId is the default context, which ends with its session. `restartKernel` empties it, and `release` ends the session.',
    { field: 'contextId' },
  );
}
