/** What was true at an earlier time, and how it came to be, read from events. */

import type { RecordedEvent } from '../../domain/events.ts';
import { type PoolId, parseId, type SessionId, type WorkerId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { validateUserUuid } from '../execute/validateRequest.ts';
import type { History, ListPage, PageRequest } from '../service.ts';
import { parsePosition, readPage } from './page.ts';

export function createHistory(deps: {
  readonly queries: Queries;
  readonly poolId: PoolId;
}): History {
  const { queries, poolId } = deps;

  async function page(
    kind: 'worker' | 'session',
    id: string,
    request: PageRequest,
  ): Promise<ListPage<RecordedEvent>> {
    return await readPage(request, parsePosition, async (after, limit) => {
      const events = await queries.streamPage(kind, id, after ?? 0, limit);
      return events.map((item) => ({ item, cursor: String(item.version) }));
    });
  }

  return {
    sessionAt: async (principal, userUuid, at) => {
      const session = await queries.sessionAt(principal.tenant, validateUserUuid(userUuid), at);
      if (!session) return null;
      return { at, session, unfinished: await queries.unfinishedAt(session.id, at) };
    },
    poolAt: async (at) => {
      const workers = await queries.workersAt(poolId, at);
      const count = (...states: Worker['state'][]) =>
        workers.filter(({ state }) => states.includes(state)).length;
      const [startingWorkers, idleWorkers, busyWorkers] = [
        count('REQUESTED', 'STARTING'),
        count('IDLE'),
        count('ASSIGNED'),
      ];
      return {
        at,
        workers,
        startingWorkers,
        idleWorkers,
        busyWorkers,
        totalWorkers: startingWorkers + idleWorkers + busyWorkers,
      };
    },
    workerEvents: async (text, request) => {
      const id = parseId<WorkerId>(text);
      const worker = id === null ? null : await queries.worker(id);
      return worker?.poolId === poolId ? await page('worker', worker.id, request) : null;
    },
    sessionEvents: async (principal, text, request) => {
      const id = parseId<SessionId>(text);
      const session = id === null ? null : await queries.session(id);
      if (session?.tenant !== principal.tenant) return null;
      return await page('session', session.id, request);
    },
  };
}
