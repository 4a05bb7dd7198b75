import type { Execution, InterruptSignal } from '../../domain/execution.ts';
import { isCommand } from '../../domain/executionOptions.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { hasFeature, lacksFeature } from '../sessions/workerFeature.ts';
import { refuse } from '../validate.ts';
import { requireExecution } from './execution.ts';
import { requestInterrupt } from './requestInterrupt.ts';

type InterruptDeps = Pick<ServiceDeps, 'config' | 'database' | 'finishWaiters' | 'now' | 'pool'>;

/**
 * Interrupts a running execution, or cancels a queued one. Resolves with the execution when it has ended. If it has not
 * ended some seconds after the grace time, resolves with its present state. Idempotent.
 * @param signal what a command gets in place of SIGINT; after SIGKILL, it has no grace time
 * @throws NOT_FOUND; for a signal: BAD_USER_INPUT if it is for a cell, or its worker is too old, POOL_INITIALIZING
 */
export async function interrupt(
  deps: InterruptDeps,
  principal: Principal,
  executionId: string,
  signal: InterruptSignal | null = null,
): Promise<Execution> {
  const execution = await requireExecution(deps, principal, executionId);
  if (signal !== null) await requireSignals(deps, execution);
  if (execution.finishedAt) return execution;
  return await requestInterrupt(
    { ...deps, interruptGraceMs: deps.config.interruptGraceMs },
    execution,
    signal,
  );
}

/** A gateway of the former release, and an older agent, would send SIGINT instead. */
async function requireSignals(deps: InterruptDeps, execution: Execution): Promise<void> {
  if (!isCommand(execution)) refuse('signal', 'is for commands only: a cell gets SIGINT', {});
  if (execution.finishedAt) return;
  const worker = await deps.database.queries.worker(execution.workerId);
  if (worker && !(await hasFeature(deps, worker, 'processes'))) throw lacksFeature('processes');
}
