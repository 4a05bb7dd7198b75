/** Ends the unfinished executions of a worker that has ended. */
import { isCommand } from '../domain/executionOptions.ts';
import type { Worker } from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import { ConcurrencyError, type Cursor, FencedError } from '../events/store/eventStore.ts';
import { listenForNews } from '../events/wakeUps/eventNews.ts';
import { batchCommit, ENDED_WORKER, emptyBatch, endingWithoutAnswer, segmentOf } from './batch.ts';
import type { HeldWorkers } from './heldWorkers.ts';
import { progressIn } from './lanes.ts';

/** A live holder ends the executions in milliseconds. The lease of a dead or paused holder expires within 2 s. */
const HOLDER_LIMIT_MS = 5_000;
/** How often `endExecutions` looks for an expired lease if no `ExecutionFinished` wakes it earlier. */
const HOLDER_POLL_INTERVAL_MS = 250;

export interface EndExecutionsDeps {
  readonly database: Database;
  readonly heldWorkers: HeldWorkers;
  readonly now: () => Date;
}

/**
 * Ends the executions of a worker that is recorded as retired or lost. The gateway that holds the worker ends them. If
 * no gateway holds it, this gateway takes the lease and ends them.
 * @throws Error if they have not ended within {@link HOLDER_LIMIT_MS}
 */
export async function endExecutions(deps: EndExecutionsDeps, worker: Worker): Promise<void> {
  const { leases, queries, wakeUps } = deps.database;
  const news = listenForNews(wakeUps, ({ event }) => event.type === 'ExecutionFinished');
  const limit = performance.now() + HOLDER_LIMIT_MS;
  try {
    for (;;) {
      const reason = worker.state === 'LOST' ? 'worker-lost' : 'released';
      await deps.heldWorkers.get(worker.id)?.end(reason);
      if ((await queries.unfinishedExecutions(worker.id)).length === 0) return;
      const cursor = await leases.acquireWorker(worker.id);
      if (cursor !== null && (await endUnheld(deps, worker, cursor))) return;
      // Another live gateway holds the worker, or has just taken it. It gets SessionClosed, and ends the executions.
      if (performance.now() > limit)
        throw new Error(`The executions of ${worker.id} did not end within ${HOLDER_LIMIT_MS} ms.`);
      await news.next(HOLDER_POLL_INTERVAL_MS);
    }
  } finally {
    news.close();
  }
}

/** Returns false if another gateway has ended them first, or has taken the lease. */
async function endUnheld(
  { database: { queries, store }, now }: EndExecutionsDeps,
  worker: Worker,
  cursor: Cursor,
): Promise<boolean> {
  const batch = emptyBatch();
  const isLost = worker.state === 'LOST';
  const status = isLost ? 'WORKER_LOST' : 'CANCELLED';
  for (const { execution, code, lastSeq } of await queries.unfinishedExecutions(worker.id)) {
    const stateLost = isLost && !isCommand(execution);
    const job = { execution, code, isTakenOver: true, nextSeq: lastSeq + 1, stateLost };
    const ending = endingWithoutAnswer(status, stateLost, progressIn(cursor, execution.id));
    segmentOf(batch, job).end = { at: now(), ending };
  }
  try {
    await store.commit({
      ...batchCommit(batch, ENDED_WORKER),
      cursor: { ...cursor, progress: null },
    });
    return true;
  } catch (error: unknown) {
    if (error instanceof ConcurrencyError || error instanceof FencedError) return false;
    throw error;
  }
}
