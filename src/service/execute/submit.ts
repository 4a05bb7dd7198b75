import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type AcceptRequestDeps, acceptRequest } from './acceptRequest.ts';
import { unlessStopping } from './unlessStopping.ts';
import { type ExecuteRequest, hasKey } from './validateRequest.ts';

/** Accepts code for execution, and resolves when the request is durable. */
export function submit(
  deps: AcceptRequestDeps & Pick<ServiceDeps, 'stopping'>,
  principal: Principal,
  request: ExecuteRequest,
): Promise<Execution> {
  return unlessStopping(deps, hasKey(request), (onAccepting) =>
    acceptRequest(deps, principal, request, onAccepting),
  );
}
