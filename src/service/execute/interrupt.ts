import type { Execution } from '../../domain/execution.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireExecution } from './execution.ts';
import { requestInterrupt } from './requestInterrupt.ts';

/**
 * Interrupts an execution, or cancels it while it is queued. Idempotent; resolves with the execution as it is once that has taken
 * effect or the grace time is over. @throws NOT_FOUND
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
