import type { OutputItem } from '../../domain/output.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { followSessionOutput } from './followOutput.ts';

/**
 * The outputs of all executions of a user, in this session and later ones. Starts after `executionId:seq`, or with new
 * outputs if `after` is null. Never ends by itself.
 * @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followSession(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'sharedOutput'>,
  principal: Principal,
  userUuid: string,
  after: string | null,
): Promise<AsyncIterableIterator<OutputItem>> {
  return await followSessionOutput(deps, principal, validateUserUuid(userUuid), after);
}
