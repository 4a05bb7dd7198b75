/** Interrupts an execution. */
import type { Config } from '../../config/config.ts';
import { decideExecution, type Execution, type InterruptSignal } from '../../domain/execution.ts';
import { isCommand } from '../../domain/executionOptions.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { hasFeature, lacksFeature } from '../sessions/opening.ts';
import { refuse } from '../validate.ts';
import { requireExecution } from './execution.ts';

// An interrupt that works on any gateway. The request is recorded as an event. The gateway that holds the worker gets
// the event and acts on it (`src/worker/operations.ts`). This gateway waits for the execution's end. Gateways never
// talk to each other directly.

/**
 * Added to the grace time: for the take-over from a gateway that died, the agent's answer, and the storing of the end.
 */
const ALLOWANCE_MS = 4_000;

/**
 * Resolves with the execution when it has ended. If it has not ended in time, resolves with its present state.
 * @param signal the signal for a command, instead of SIGINT. Its worker must be able to send it.
 */
export async function requestInterrupt(
  deps: Pick<ServiceDeps, 'database' | 'finishWaiters' | 'now'> & {
    readonly config: Pick<Config, 'interruptGraceMs'>;
  },
  execution: Execution,
  signal: InterruptSignal | null = null,
): Promise<Execution> {
  const { queries } = deps.database;
  const over = new AbortController();
  // A timer, and not AbortSignal.any with an AbortSignal.timeout: Node 20 may garbage-collect the latter, which then
  // never fires.
  const limit = setTimeout(() => over.abort(), deps.config.interruptGraceMs + ALLOWANCE_MS);
  // The wait begins first, because the end may be reported before the commit of the request has resolved.
  const ended = deps.finishWaiters.wait(execution, over.signal).catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
    return null;
  });
  const recording = record(deps, execution.id, signal).then((isAsked) => isAsked || over.abort());
  try {
    const [end] = await Promise.all([ended, recording]);
    return end ?? (await queries.execution(execution.id)) ?? execution;
  } finally {
    clearTimeout(limit);
    // If the request could not be recorded, the wait must end, too.
    over.abort();
  }
}

/** Resolves with false if the execution has already ended. Nothing is recorded then. */
async function record(
  { database, now }: Pick<ServiceDeps, 'database' | 'now'>,
  id: ExecutionId,
  signal: InterruptSignal | null,
): Promise<boolean> {
  const asked = signal === null ? {} : { signal };
  const { type } = await decideAndCommit(database.store, {
    load: () => database.queries.execution(id),
    decide: (state) => {
      const at = now().toISOString();
      const events = decideExecution({ type: 'RequestInterrupt', at, ...asked }, state);
      return commitChanges({ streams: [{ stream: 'execution', id, state, events }] });
    },
  });
  return type === 'committed';
}

type InterruptDeps = Pick<ServiceDeps, 'config' | 'database' | 'finishWaiters' | 'now' | 'pool'>;

/**
 * Interrupts a running execution, or cancels a queued one. Resolves with the execution when it has ended. If it has not
 * ended some seconds after the grace time, resolves with its present state. Idempotent.
 * @param signal the signal for a command, instead of SIGINT; after SIGKILL, the command has no grace time
 * @throws NOT_FOUND; with a signal: BAD_USER_INPUT for a cell, or if the worker cannot send signals; POOL_INITIALIZING
 * if a signal is given and the worker does not answer
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
  return await requestInterrupt(deps, execution, signal);
}

/** Requires a worker that can send signals to commands. An agent that cannot would send SIGINT instead. */
async function requireSignals(deps: InterruptDeps, execution: Execution): Promise<void> {
  if (!isCommand(execution)) refuse('signal', 'is for commands only: a cell gets SIGINT', {});
  if (execution.finishedAt) return;
  const worker = await deps.database.queries.worker(execution.workerId);
  if (worker && !(await hasFeature(deps, worker, 'processes'))) throw lacksFeature('processes');
}
