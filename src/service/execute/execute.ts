import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type AcceptRequestDeps, acceptRequest } from './acceptRequest.ts';
import { unlessStopping } from './unlessStopping.ts';
import { type ExecuteRequest, hasKey } from './validateRequest.ts';

export type RunDeps = AcceptRequestDeps & Pick<ServiceDeps, 'finishWaiters'>;

/**
 * Runs code, on this gateway or another, and resolves when it has finished. It runs on even if the caller disconnects.
 */
export function execute(
  deps: RunDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
): Promise<Execution> {
  return unlessStopping(deps.stopping, hasKey(request), (onAccepting) =>
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
  const { finishWaiters } = deps;
  let unfollow = () => {};
  try {
    const execution = await acceptRequest(deps, principal, request, (id) => {
      onAccepting();
      unfollow();
      unfollow = finishWaiters.follow(id);
    });
    return await finishWaiters.wait(execution, new AbortController().signal);
  } finally {
    unfollow();
  }
}
