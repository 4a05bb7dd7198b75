import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { acceptFollowed, type RunDeps } from './acceptFollowed.ts';
import { unlessStopping } from './unlessStopping.ts';
import { type ExecuteRequest, hasKey } from './validateRequest.ts';

/**
 * Runs code, whichever gateway holds the session's worker, and resolves when the code has ended. The code keeps running
 * even if the caller disconnects.
 */
export function execute(
  deps: RunDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
): Promise<Execution> {
  return unlessStopping(deps, hasKey(request), (onAccepting) =>
    runToEnd(deps, principal, request, onAccepting),
  );
}

/** @param onAccepting called right before the request is recorded. Nothing has happened until then. */
export async function runToEnd(
  deps: RunDeps,
  principal: Principal,
  request: ExecuteRequest,
  onAccepting: () => void,
): Promise<Execution> {
  const { execution, unfollow } = await acceptFollowed(deps, principal, request, onAccepting);
  try {
    return await deps.finishWaiters.wait(execution, new AbortController().signal);
  } finally {
    unfollow();
  }
}
