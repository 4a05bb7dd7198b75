import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type AcceptRequestDeps, acceptRequest } from './acceptRequest.ts';
import type { ExecuteRequest } from './validateRequest.ts';

export type RunDeps = AcceptRequestDeps & Pick<ServiceDeps, 'finishWaiters'>;

export interface AcceptedExecution {
  readonly execution: Execution;
  /** Must be called when nobody waits for the execution any more. */
  readonly unfollow: () => void;
}

/**
 * Accepts code, and follows the execution from before it is durable. So a caller that waits for it at the gateway that
 * holds the worker need not read it from the database. If this rejects, nothing is followed.
 * @param onAccepting called right before the request is recorded. Nothing has happened until then.
 */
export async function acceptFollowed(
  deps: RunDeps,
  principal: Principal,
  request: ExecuteRequest,
  onAccepting: () => void,
): Promise<AcceptedExecution> {
  let unfollow = () => {};
  try {
    const execution = await acceptRequest(deps, principal, request, (id) => {
      onAccepting();
      unfollow();
      unfollow = deps.finishWaiters.follow(id);
    });
    return { execution, unfollow };
  } catch (error: unknown) {
    unfollow();
    throw error;
  }
}
