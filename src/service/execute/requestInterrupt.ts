/**
 * An interrupt, from any gateway: it is recorded, whichever gateway holds the worker is told and acts
 * (pendingOperations.ts), and here the execution's end is awaited. No gateway speaks to another.
 */

import { decideExecution, type Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import type { FinishWaiters } from './finishWaiters.ts';

/** Beyond the grace time: the agent's answer, the end being stored, and before that a take-over from a gateway that died. */
const ALLOWANCE_MS = 4_000;

export interface RequestInterruptDeps {
  readonly database: Database;
  readonly finishWaiters: FinishWaiters;
  readonly interruptGraceMs: number;
  readonly now: () => Date;
}

/** Resolves with the execution as it is when it has ended, or when the time for that is over. */
export async function requestInterrupt(
  deps: RequestInterruptDeps,
  execution: Execution,
): Promise<Execution> {
  const { queries } = deps.database;
  const over = new AbortController();
  // Not AbortSignal.any of an AbortSignal.timeout: Node 20 may collect the latter as garbage, and the limit never comes.
  const limit = setTimeout(() => over.abort(), deps.interruptGraceMs + ALLOWANCE_MS);
  // Waiting begins first: the end may be told before the commit of the request has resolved.
  const ended = deps.finishWaiters.wait(execution, over.signal).catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
    return null;
  });
  const recording = record(deps, execution.id).then((isAsked) => isAsked || over.abort());
  try {
    const [end] = await Promise.all([ended, recording]);
    return end ?? (await queries.execution(execution.id)) ?? execution;
  } finally {
    clearTimeout(limit);
    // If it could not be recorded, nobody waits for the end any more.
    over.abort();
  }
}

/** False: it has ended, so nothing was recorded. */
async function record({ database, now }: RequestInterruptDeps, id: ExecutionId): Promise<boolean> {
  const { type } = await decideAndCommit(database.store, {
    load: () => database.queries.execution(id),
    decide: (state) => {
      const events = decideExecution({ type: 'RequestInterrupt', at: now().toISOString() }, state);
      return commitChanges({ streams: [{ stream: 'execution', id, state, events }] });
    },
  });
  return type === 'committed';
}
