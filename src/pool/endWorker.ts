/**
 * Ends workers: records why, ends the session and its executions, removes the container, records that. Every step may be
 * repeated and taken up by another gateway: what is recorded already decides nothing, and {@link settleWorker} goes on from
 * wherever the last attempt stopped.
 */
import type { PoolId, WorkerId } from '../domain/ids.ts';
import { type CloseReason, decideSession, type Session } from '../domain/session.ts';
import {
  decideWorker,
  type LostReason,
  type RetireReason,
  type Worker,
  type WorkerCommand,
} from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import {
  ConcurrencyError,
  type Cursor,
  FencedError,
  type StreamAppend,
} from '../events/store/eventStore.ts';
import { listenForNews } from '../events/wakeUps/eventNews.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { emptyBatch, segmentOf } from '../worker/batch.ts';
import { batchCommit } from '../worker/batchCommit.ts';
import { endingWithoutAnswer } from '../worker/endings.ts';
import type { HeldWorkers } from '../worker/heldWorkers.ts';
import { progressIn } from '../worker/progress.ts';

/** Each attempt loses only to another writer's success, so a few are plenty; more would be a defect. */
const MAX_ATTEMPTS = 20;
/** A live holder ends them in milliseconds, and the lease of a dead or paused one expires within 2 s. */
const HOLDER_LIMIT_MS = 5_000;
/** Between the events that tell of ends: how soon an expired lease is noticed. */
const HOLDER_LOOK_INTERVAL_MS = 250;

export interface EndWorkerDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly heldWorkers: HeldWorkers;
  readonly now: () => Date;
  readonly poolId: PoolId;
  /** Its end is recorded, and something of it could not be removed now: the next sweep does it. */
  readonly onUnsettled: (workerId: WorkerId, error: unknown) => void;
}

/** Of workers that are not over, or of which something may be left. */
export const UNSETTLED_STATES = [
  'REQUESTED',
  'STARTING',
  'IDLE',
  'ASSIGNED',
  'RETIRED',
  'LOST',
] as const;

export type WorkerEnd =
  | {
      readonly type: 'retire';
      readonly reason: RetireReason;
      /** Only if its session was not used since then: a request that comes in between wins. */
      readonly idleSince?: Date;
    }
  | {
      readonly type: 'lose';
      readonly reason: LostReason;
      readonly exitCode: number | null;
      readonly detail: string | null;
    };

/** Records that a worker is over, and with it its session. @returns the session that this ended, if it was open */
async function recordEnd(
  deps: EndWorkerDeps,
  workerId: WorkerId,
  end: WorkerEnd,
): Promise<Session | null> {
  for (let attempt = 1; ; attempt += 1) {
    const { queries, store } = deps.database;
    const [worker, session] = await Promise.all([
      queries.worker(workerId),
      queries.openSessionOfWorker(workerId),
    ]);
    const at = deps.now().toISOString();
    const workerEvents = worker ? decideWorker(commandOf(end, at), worker) : [];
    const closing = session
      ? decideSession({ type: 'CloseSession', at, reason: closeReason(end) }, session)
      : [];
    if (workerEvents.length + closing.length === 0) return null;
    // The worker's end first: it is what an auditor finds as the cause of the session's.
    const streams: StreamAppend[] = [];
    if (workerEvents.length > 0)
      streams.push({ stream: 'worker', id: workerId, state: worker, events: workerEvents });
    if (session && closing.length > 0)
      streams.push({ stream: 'session', id: session.id, state: session, events: closing });
    try {
      const { states } = await store.commit({
        streams,
        causationId: 'first-event',
        ...(end.type === 'retire' && end.idleSince && { idleSince: end.idleSince }),
      });
      return session && closing.length > 0 ? (states.at(-1) as Session) : null;
    } catch (error: unknown) {
      if (error instanceof ConcurrencyError && error.on === 'idle-session') return null;
      if (!(error instanceof ConcurrencyError) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

function commandOf(end: WorkerEnd, at: string): WorkerCommand {
  if (end.type === 'retire') return { type: 'RetireWorker', at, reason: end.reason };
  const { reason, exitCode, detail } = end;
  return { type: 'RecordLoss', at, reason, exitCode, detail };
}

function closeReason(end: WorkerEnd): CloseReason {
  if (end.type === 'lose') return 'worker-lost';
  return end.reason === 'recycled' ? 'idle' : end.reason;
}

/** Records the loss of a worker and removes what is left of it, as {@link endWorker} does. */
export async function loseWorker(
  deps: EndWorkerDeps,
  worker: Worker,
  reason: LostReason,
  exitCode: number | null,
  detail: string | null,
): Promise<void> {
  await endWorker(deps, worker, { type: 'lose', reason, exitCode, detail });
}

/** Loses a worker whose container has ended or is gone. False: it runs. */
export async function loseIfEnded(deps: EndWorkerDeps, worker: Worker): Promise<boolean> {
  const { containerId } = worker;
  const seen = containerId === null ? null : await deps.runtime.inspect(containerId);
  if (seen?.isRunning) return false;
  const { reason, exitCode } = seen?.end ?? { reason: 'exited', exitCode: null };
  const detail = seen === null ? 'Its container is gone.' : null;
  await loseWorker(deps, worker, reason, exitCode, detail);
  return true;
}

/**
 * Records the end of a worker, then carries it out as far as that is possible now (the engine may be away).
 * @returns the session that this ended, if it was open
 */
export async function endWorker(
  deps: EndWorkerDeps,
  worker: Worker,
  end: WorkerEnd,
): Promise<Session | null> {
  const closed = await recordEnd(deps, worker.id, end);
  await settleEnded(deps, worker).catch((error: unknown) => deps.onUnsettled(worker.id, error));
  return closed;
}

/** {@link endWorker}, and throws if anything of it is left. */
export async function endAndSettle(
  deps: EndWorkerDeps,
  worker: Worker,
  end: WorkerEnd,
): Promise<void> {
  await recordEnd(deps, worker.id, end);
  await settleEnded(deps, worker);
}

async function settleEnded(deps: EndWorkerDeps, worker: Worker): Promise<void> {
  const ended = await deps.database.queries.worker(worker.id);
  // One whose session was used in the last moment goes on.
  if (ended?.state === 'RETIRED' || ended?.state === 'LOST') {
    await settleWorker(deps, { ...ended, containerId: ended.containerId ?? worker.containerId });
  }
}

/** Carries out the end of a worker that is recorded as retired or lost: nothing of it is left afterwards. */
export async function settleWorker(deps: EndWorkerDeps, worker: Worker): Promise<void> {
  await endExecutions(deps, worker);
  const { poolId, containerId } = worker;
  await deps.runtime.remove({ poolId, workerId: worker.id, containerId });
  await deps.heldWorkers.drop(worker.id);
  await recordRemoval(deps, worker.id);
}

/** The gateway that holds the worker does it; where none does, whoever settles takes the lease for it. */
async function endExecutions(deps: EndWorkerDeps, worker: Worker): Promise<void> {
  const { leases, queries, wakeUps } = deps.database;
  const news = listenForNews(wakeUps, ({ event }) => event.type === 'ExecutionFinished');
  const limit = performance.now() + HOLDER_LIMIT_MS;
  try {
    for (;;) {
      await deps.heldWorkers
        .get(worker.id)
        ?.end(worker.state === 'LOST' ? 'worker-lost' : 'released');
      if ((await queries.unfinishedExecutions(worker.id)).length === 0) return;
      const cursor = await leases.acquireWorker(worker.id);
      if (cursor !== null && (await endUnattended(deps, worker, cursor))) return;
      // Another live gateway holds it, or has just taken it: it is told of the session's end, and does this itself.
      if (performance.now() > limit) throw new Error('Its executions have not been ended in time.');
      await news.next(HOLDER_LOOK_INTERVAL_MS);
    }
  } finally {
    news.close();
  }
}

/** False: another gateway was first, with them or with the lease. */
async function endUnattended(
  deps: EndWorkerDeps,
  worker: Worker,
  cursor: Cursor,
): Promise<boolean> {
  const { queries, store } = deps.database;
  const batch = emptyBatch();
  for (const { execution, code, lastSeq } of await queries.unfinishedExecutions(worker.id)) {
    const stateLost = worker.state === 'LOST';
    const job = { execution, code, isTakenOver: true, nextSeq: lastSeq + 1, stateLost };
    const status = worker.state === 'LOST' ? 'WORKER_LOST' : 'CANCELLED';
    const ending = endingWithoutAnswer(status, job.stateLost, progressIn(cursor, execution.id));
    segmentOf(batch, job).end = { at: deps.now(), ending };
  }
  try {
    await store.commit({ ...batchCommit(batch, null), cursor: { ...cursor, progress: null } });
    return true;
  } catch (error: unknown) {
    if (error instanceof ConcurrencyError || error instanceof FencedError) return false;
    throw error;
  }
}

async function recordRemoval(deps: EndWorkerDeps, workerId: WorkerId): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const worker = await deps.database.queries.worker(workerId);
    const events = worker
      ? decideWorker({ type: 'RecordRemoval', at: deps.now().toISOString() }, worker)
      : [];
    if (events.length === 0) return;
    try {
      await deps.database.store.commit({
        streams: [{ stream: 'worker', id: workerId, state: worker, events }],
      });
      return;
    } catch (error: unknown) {
      if (!(error instanceof ConcurrencyError) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
