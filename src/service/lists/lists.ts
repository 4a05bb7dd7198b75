/** Lists of what is recorded, in pages; and many things at once, so that a list costs one read for each kind of thing. */
import type { Config } from '../../config/config.ts';
import { DomainError } from '../../domain/errors.ts';
import { EVENT_TYPES } from '../../domain/events.ts';
import type { PoolId, SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { validateUserUuid } from '../execute/validateRequest.ts';
import type { Lists, Many } from '../service.ts';
import { parseIdCursor, parsePosition, readBoundedPage, readPage } from './page.ts';

/** An error names what it refuses, and is no echo of a whole body. */
const MAX_QUOTED_CHARS = 200;

export interface ListsDeps {
  readonly queries: Pick<Queries, 'executionPage' | 'sessionPage' | 'workerPage' | 'eventPage'>;
  readonly config: Pick<Config, 'maxResponseBytes'>;
  readonly poolId: PoolId;
}

export function createLists({ queries, config, poolId }: ListsDeps): Lists {
  return {
    executions: (principal, filter, request) => {
      const of = {
        tenant: principal.tenant,
        userUuid: filter.userUuid == null ? null : validateUserUuid(filter.userUuid),
        status: filter.status ?? null,
        from: filter.from ?? null,
        to: filter.to ?? null,
      };
      return readPage(request, parsePosition, (before, limit) =>
        queries.executionPage(of, before, limit),
      );
    },
    sessions: (principal, filter, request) => {
      const of = {
        tenant: principal.tenant,
        userUuid: filter.userUuid == null ? null : validateUserUuid(filter.userUuid),
        isOpen: filter.isOpen ?? null,
      };
      return readPage(request, parseIdCursor, (before, limit) =>
        queries.sessionPage(of, before, limit),
      );
    },
    workers: (filter, request) => {
      const of = { poolId, states: filter.states ?? null };
      return readPage(request, parseIdCursor, (before, limit) =>
        queries.workerPage(of, before, limit),
      );
    },
    events: (filter, request) => {
      const types = filter.types == null ? null : validateEventTypes(filter.types);
      return readBoundedPage(request, parsePosition, (after, limit) =>
        queries.eventPage(types, after ?? 0, { limit, maxBytes: config.maxResponseBytes }),
      );
    },
  };
}

/** @throws BAD_USER_INPUT: a name that is misspelt would look like a past in which nothing happened */
function validateEventTypes(types: readonly string[]): readonly string[] {
  const unknown = types.find((type) => !EVENT_TYPES.has(type));
  if (unknown === undefined) return types;
  throw new DomainError(
    'BAD_USER_INPUT',
    `types has ${JSON.stringify(unknown.slice(0, MAX_QUOTED_CHARS))}, which is no type of event; docs/events.md names them all.`,
    { field: 'types' },
  );
}

export interface ManyDeps {
  readonly queries: Pick<
    Queries,
    'sessions' | 'workers' | 'lastActivity' | 'codes' | 'outputPages'
  >;
  readonly config: Pick<Config, 'maxResponseBytes'>;
}

export function createMany({ queries, config }: ManyDeps): Many {
  return {
    sessions: async ({ tenant }, ids) => {
      const sessions = await queries.sessions(ids);
      return sessions.filter((session) => session.tenant === tenant);
    },
    workers: (ids) => queries.workers(ids),
    lastActiveAt: async (sessions) => {
      const at = await queries.lastActivity(sessions.map((session) => session.id));
      return new Map<SessionId, Date>(
        sessions.map((session) => [session.id, later(session, at.get(session.id) ?? null)]),
      );
    },
    codes: (ids) => queries.codes(ids, config.maxResponseBytes),
    outputs: (pages) => queries.outputPages(pages, config.maxResponseBytes),
  };
}

function later({ openedAt }: Session, at: Date | null): Date {
  return at !== null && at > openedAt ? at : openedAt;
}
