import type { WorkerId } from '../domain/ids.ts';
import type { Database } from '../events/database.ts';
import { DURABLE_OPERATIONS } from './operations.ts';

/**
 * Reads the recorded state of a worker when its lease is taken, and the event position of that state. The position is
 * read first, so that the state includes everything that was committed up to it.
 */
export async function readTakenOver({ queries, store }: Database, id: WorkerId) {
  const position = await store.lastPosition();
  const [session, unfinishedIn, pending] = await Promise.all([
    queries.openSessionOfWorker(id),
    readUnfinished(queries, id),
    queries.pendingRequests(id, DURABLE_OPERATIONS),
  ]);
  return [position, { session, ...unfinishedIn, pending }] as const;
}

/** Reads the contexts after the executions. So the context of each execution is among them, unless it has ended. */
async function readUnfinished(queries: Database['queries'], id: WorkerId) {
  const unfinished = await queries.unfinishedExecutions(id);
  return { unfinished, contexts: await queries.openContextsOfWorker(id) };
}
