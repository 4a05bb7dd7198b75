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
 * @param signal the signal for a command, instead of SIGINT; after SIGKILL, the command has no grace time
 * @throws NOT_FOUND; BAD_USER_INPUT if a signal is given and the execution is a cell, or its worker cannot send
 * signals; POOL_INITIALIZING if a signal is given and the worker does not answer
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

/** Requires a worker that can send signals to commands. An agent that cannot would send SIGINT instead. */
async function requireSignals(deps: InterruptDeps, execution: Execution): Promise<void> {
  if (!isCommand(execution)) refuse('signal', 'is for commands only: a cell gets SIGINT', {});
  if (execution.finishedAt) return;
  const worker = await deps.database.queries.worker(execution.workerId);
  if (worker && !(await hasFeature(deps, worker, 'processes'))) throw lacksFeature('processes');
}
