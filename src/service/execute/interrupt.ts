import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireExecution } from './execution.ts';
import { requestInterrupt } from './requestInterrupt.ts';

/**
 * Interrupts a running execution, or cancels a queued one. Resolves with the execution when it has ended. If it has not
 * ended some seconds after the grace time, resolves with its present state. Idempotent.
 * @throws NOT_FOUND
 */
export async function interrupt(
  deps: Pick<ServiceDeps, 'config' | 'database' | 'finishWaiters' | 'now'>,
  principal: Principal,
  executionId: string,
): Promise<Execution> {
  const execution = await requireExecution(deps, principal, executionId);
  if (execution.finishedAt) return execution;
  return await requestInterrupt(
    { ...deps, interruptGraceMs: deps.config.interruptGraceMs },
    execution,
  );
}
