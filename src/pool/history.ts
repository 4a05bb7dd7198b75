/** What was true at an earlier time, and how it came to be, read from events. */

import { DomainError } from '../errors.ts';
import type { Queries } from '../events/queries/queries.ts';
import type { Worker } from '../events/states.ts';
import { type PoolId, parseId, type SessionId, type WorkerId } from '../ids.ts';
import type { EventPage, History, PageRequest } from './service.ts';
import { validateUserUuid } from './validateRequest.ts';

/** Events of one page. A stream of a worker or session is short; this bounds one that is not. */
const MAX_PAGE_EVENTS = 1_000;
const DEFAULT_PAGE_EVENTS = 100;

export function createHistory(deps: {
  readonly queries: Queries;
  readonly poolId: PoolId;
}): History {
  const { queries, poolId } = deps;

  async function page(
    kind: 'worker' | 'session',
    id: string,
    request: PageRequest,
  ): Promise<EventPage> {
    const { first, after } = validPage(request);
    // One more than asked for tells whether there is a next page.
    const events = await queries.streamPage(kind, id, after, first + 1);
    return { events: events.slice(0, first), hasNextPage: events.length > first };
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

function validPage({ first, after }: PageRequest): { first: number; after: number } {
  const limit = first ?? DEFAULT_PAGE_EVENTS;
  if (limit < 1 || limit > MAX_PAGE_EVENTS) {
    throw new DomainError(
      'BAD_USER_INPUT',
      `first is ${limit}, but must be from 1 to ${MAX_PAGE_EVENTS}.`,
      { field: 'first', max: MAX_PAGE_EVENTS },
    );
  }
  if (after != null && !/^\d{1,9}$/.test(after)) {
    throw new DomainError(
      'BAD_USER_INPUT',
      `after must be a cursor of an earlier page, not ${JSON.stringify(after.slice(0, 200))}.`,
      { field: 'after' },
    );
  }
  return { first: limit, after: Number(after ?? 0) };
}
