import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireExecution } from './execution.ts';
import { isUnderWay } from './finishWaiters.ts';
import { unlessStopping } from './unlessStopping.ts';

/**
 * Resolves with the execution once it has begun, or has ended without beginning. Then it has the number of its cell, if
 * its worker tells that at the start. Nobody can see its outputs earlier than its start. Works on any gateway.
 * @param signal ends the waiting
 * @throws NOT_FOUND; the signal's reason
 */
export async function untilStarted(
  deps: Pick<ServiceDeps, 'database' | 'finishWaiters' | 'stopping'>,
  principal: Principal,
  executionId: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<Execution> {
  const execution = await requireExecution(deps, principal, executionId);
  return await unlessStopping(deps, true, () =>
    deps.finishWaiters.wait(execution, signal, isUnderWay),
  );
}
