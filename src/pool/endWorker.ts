/**
 * How a worker ends, whatever the cause. `endWorker` records the reason together with the end of the worker's session
 * and of its contexts. `settleWorker` then ends the executions and removes the container, until nothing of the worker is
 * left. Every step may be repeated, also by another gateway: an end that is already recorded yields no events, and
 * `settleWorker` continues where the last attempt stopped.
 */
import { type Context, decideContext } from '../domain/context.ts';
import type { Actor } from '../domain/events.ts';
import type { PoolId, WorkerId } from '../domain/ids.ts';
import { type CloseReason, decideSession, type Session } from '../domain/session.ts';
import {
  decideWorker,
  isLive,
  type LostReason,
  type RetireReason,
  type Worker,
} from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import { commitChanges, type Decision, decideAndCommit } from '../events/store/decideAndCommit.ts';
import { SessionInUseError } from '../events/store/eventStore.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { endExecutions } from '../worker/endExecutions.ts';
import type { HeldWorkers } from '../worker/heldWorkers.ts';

/** The reason for which a session is closed when its worker ends for `reason`. */
function closeReason(reason: Worker['endReason']): CloseReason {
  switch (reason) {
    case 'released':
    case 'idle':
    case 'expired':
    case 'shutdown':
      return reason;
    case 'recycled':
      return 'idle';
    default:
      return 'worker-lost';
  }
}

// Contexts end with their session. The default context has no event stream, so no event records its end.

/** The end of a context whose session is closed for this reason. */
function appendContextEnd(state: Context, reason: CloseReason, at: string) {
  const events = decideContext({ type: 'EndContext', at, reason }, state);
  return { stream: 'context', id: state.id, state, events } as const;
}

/**
 * Ends the contexts that were created while their session's end was being recorded. A context can be created only in an
 * open session, so no further context appears after this.
 */
export async function endLeftContexts(
  { database: { queries, store }, now }: Pick<EndWorkerDeps, 'database' | 'now'>,
  worker: Worker,
): Promise<void> {
  await decideAndCommit(store, {
    load: () => queries.openContextsOfWorker(worker.id),
    decide: (contexts) => {
      const at = now().toISOString();
      const reason = closeReason(worker.endReason);
      return commitChanges({
        streams: contexts.map((context) => appendContextEnd(context, reason, at)),
      });
    },
  });
}

export interface EndWorkerDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly heldWorkers: HeldWorkers;
  readonly now: () => Date;
  readonly poolId: PoolId;
  /** Called when the end is recorded but something of the worker could not be removed. The next sweep removes it. */
  readonly onUnsettled: (workerId: WorkerId, error: unknown) => void;
}

/** States of workers that have not ended, or of which something may be left. */
export const UNSETTLED_STATES = [
  'REQUESTED',
  'STARTING',
  'IDLE',
  'ASSIGNED',
  'RETIRED',
  'LOST',
] as const;

/**
 * The conditions under which the end of a session is recorded. If one of them does not hold, the session stays open.
 */
export interface EndCondition {
  /** The session must not have been used since this time. The commit checks that. */
  readonly idleSince?: Date;
  /** Whether the session must still end, given its recorded state. */
  readonly isDue?: (session: Session) => boolean;
}

/** Why a worker ends: it is retired on purpose, or it was lost. */
export type WorkerEnd =
  | {
      readonly type: 'RetireWorker';
      readonly reason: RetireReason;
      readonly condition?: EndCondition;
      /** Who requested the end. Absent: a gateway decided it. */
      readonly actor?: Actor;
    }
  | {
      readonly type: 'RecordLoss';
      readonly reason: LostReason;
      /** Null if unknown. */
      readonly exitCode: number | null;
      readonly detail: string | null;
    };

/** The end of a worker that was lost. */
export function loss(
  reason: LostReason,
  detail: string | null,
  exitCode: number | null = null,
): WorkerEnd {
  return { type: 'RecordLoss', reason, exitCode, detail };
}

/** The end of a worker that no session uses. A worker that has a session by now stays. */
export const RECYCLED: WorkerEnd = {
  type: 'RetireWorker',
  reason: 'recycled',
  condition: { isDue: () => false },
};

/** Records the loss of a worker whose container has ended or is gone. Returns false if the container runs. */
export async function loseIfEnded(deps: EndWorkerDeps, worker: Worker): Promise<boolean> {
  const { containerId } = worker;
  const seen = containerId === null ? null : await deps.runtime.inspect(containerId);
  if (seen?.isRunning) return false;
  const { reason, exitCode } = seen?.end ?? { reason: 'exited', exitCode: null };
  const detail = seen === null ? 'Its container is gone.' : null;
  await endWorker(deps, worker, loss(reason, detail, exitCode));
  return true;
}

/**
 * Records the end of a worker, then carries it out as far as possible now (the engine may be away).
 * @returns the session that this closed; null if none was open, or if the session stays open because the condition does
 * not hold
 */
export async function endWorker(
  deps: EndWorkerDeps,
  worker: Worker,
  why: WorkerEnd,
): Promise<Session | null> {
  const closed = await recordEnd(deps, worker.id, why);
  await carryOutEnd(deps, worker.id, worker.containerId);
  return closed;
}

/**
 * Carries out the end of a worker as far as possible now, if an end is recorded. Never throws: the next sweep does the
 * rest.
 * @param knownContainerId its container, if the caller knows one that is not recorded
 */
export async function carryOutEnd(
  deps: EndWorkerDeps,
  workerId: WorkerId,
  knownContainerId: string | null = null,
): Promise<void> {
  try {
    const ended = await deps.database.queries.worker(workerId);
    const containerId = ended?.containerId ?? knownContainerId;
    if (ended?.state === 'RETIRED' || ended?.state === 'LOST')
      await settleWorker(deps, { ...ended, containerId });
    // Another gateway has removed the worker. If this gateway has taken the worker's lease, it must release it, or it
    // would renew the lease forever.
    else if (ended?.state === 'REMOVED') await deps.heldWorkers.drop(workerId);
  } catch (error: unknown) {
    deps.onUnsettled(workerId, error);
  }
}

/** Carries out the end of a worker that is recorded as retired or lost. @throws Error if anything of it is left */
export async function settleWorker(deps: EndWorkerDeps, worker: Worker): Promise<void> {
  await endLeftContexts(deps, worker);
  await endExecutions(deps, worker);
  const { poolId, containerId } = worker;
  await deps.runtime.remove({ poolId, workerId: worker.id, containerId });
  await deps.heldWorkers.drop(worker.id);
  await recordRemoval(deps, worker.id);
}

interface Recorded {
  readonly worker: Worker | null;
  readonly session: Session | null;
  /** The session's open contexts, without the default one. */
  readonly contexts: readonly Context[];
}

/** Records the end of a worker, and does nothing else. @returns as {@link endWorker} */
export async function recordEnd(
  { database, now }: Pick<EndWorkerDeps, 'database' | 'now'>,
  workerId: WorkerId,
  why: WorkerEnd,
): Promise<Session | null> {
  const { queries, store } = database;
  try {
    const outcome = await decideAndCommit(store, {
      load: async () => {
        // The worker is read first. A session that opens after this read changes the worker, too, so the commit is
        // refused. If the session were read first, a session could open unnoticed between the two reads, and would stay
        // open although its worker ends.
        const worker = await queries.worker(workerId);
        const [session, contexts] = await Promise.all([
          queries.openSessionOfWorker(workerId),
          queries.openContextsOfWorker(workerId),
        ]);
        return { worker, session, contexts };
      },
      decide: (recorded) => decideEnd(recorded, why, now().toISOString()),
    });
    if (outcome.type === 'refused') return null;
    return outcome.committed.states.find((state) => 'closeReason' in state) ?? null;
  } catch (error: unknown) {
    if (error instanceof SessionInUseError) return null;
    throw error;
  }
}

/**
 * The worker's end comes first, because it is recorded as the cause of the session's end. If the loss is
 * `create-failed`, but the start has succeeded after all, the worker does not end, and keeps its session.
 */
function decideEnd(
  { worker, session, contexts }: Recorded,
  why: WorkerEnd,
  at: string,
): Decision<'unchanged'> {
  const actor = why.type === 'RetireWorker' ? why.actor : undefined;
  const { idleSince, isDue } = (why.type === 'RetireWorker' && why.condition) || {};
  if (isDue && session && !isDue(session)) return commitChanges({ streams: [] });
  const end = worker && appendEnd(worker, why, at);
  if (end && end.events.length === 0 && isLive(end.state)) return commitChanges({ streams: [] });
  return commitChanges({
    streams: [
      ...(end ? [end] : []),
      ...(session ? [appendClose(session, closeReason(why.reason), at)] : []),
      ...contexts.map((context) => appendContextEnd(context, closeReason(why.reason), at)),
    ],
    causationId: 'first-event',
    ...(idleSince && { idleSince }),
    ...(actor && { actor }),
  });
}

function appendEnd(state: Worker, why: WorkerEnd, at: string) {
  const events = decideWorker({ ...why, at }, state);
  return { stream: 'worker', id: state.id, state, events } as const;
}

function appendClose(state: Session, reason: CloseReason, at: string) {
  const events = decideSession({ type: 'CloseSession', at, reason }, state);
  return { stream: 'session', id: state.id, state, events } as const;
}

async function recordRemoval({ database, now }: EndWorkerDeps, id: WorkerId): Promise<void> {
  await decideAndCommit(database.store, {
    load: () => database.queries.worker(id),
    decide: (state) => {
      const command = { type: 'RecordRemoval', at: now().toISOString() } as const;
      const events = state === null ? [] : decideWorker(command, state);
      return commitChanges({ streams: [{ stream: 'worker', id, state, events }] });
    },
  });
}

/**
 * Ends every session and worker of the pool, also those of other gateways, and removes every other container with the
 * pool's label. @throws Error if anything is left
 */
export async function shutDown(deps: EndWorkerDeps): Promise<void> {
  const { database, poolId, runtime } = deps;
  const workers = await database.queries.workersInStates(poolId, UNSETTLED_STATES);
  await Promise.all(
    workers.map((worker) => endWorker(deps, worker, { type: 'RetireWorker', reason: 'shutdown' })),
  );
  // Ends that could not be carried out above are tried once more; this time the error is thrown.
  const left = await database.queries.workersInStates(poolId, ['RETIRED', 'LOST']);
  await Promise.all(left.map((worker) => settleWorker(deps, worker)));
  for (const stranger of await runtime.list(poolId)) await runtime.remove({ poolId, ...stranger });
}
