import type { OutputItem } from '../../domain/output.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { followSessionOutput } from './followOutput.ts';

/**
 * The outputs of all executions of a user, from now on or after `executionId:seq`, through one session after the other. Never
 * ends by itself. @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followSession(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'sharedOutput'>,
  { tenant }: Principal,
  userUuid: string,
  after: string | null,
): Promise<AsyncIterableIterator<OutputItem>> {
  return await followSessionOutput(deps, tenant, validateUserUuid(userUuid), after);
}
