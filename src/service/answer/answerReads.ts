/** The reads for an answer. Each reads any number of things of one kind at once. */
import type { Context } from '../../domain/context.ts';
import type { Execution } from '../../domain/execution.ts';
import type {
  ContextId,
  EnvironmentId,
  ExecutionId,
  SessionId,
  WorkerId,
} from '../../domain/ids.ts';
import type { OutputItem, OutputPage } from '../../domain/output.ts';
import { expiryOf, type Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Edge, ExecutionsOf, ExecutionsPart } from '../../events/queries/listQueries.ts';
import { type EnvironmentView, environmentViewOf } from '../environments/environments.ts';
import { positionOf } from '../lists/lists.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { MAX_LIST_ITEMS, tooManyItems } from './answerBudget.ts';

/** Each function gives one value for each argument, in their order. */
export interface AnswerReads {
  /** Null if there is no such session, or if the principal does not see it. */
  sessions(ids: readonly SessionId[]): Promise<readonly (Session | null)[]>;
  /** Null if there is no such context. The default context of a session is none of these. */
  contexts(ids: readonly ContextId[]): Promise<readonly (Context | null)[]>;
  /** The open contexts of each session, without the default one, oldest first. */
  openContexts(ids: readonly SessionId[]): Promise<readonly (readonly Context[])[]>;
  /** Null if there is no such worker. */
  workers(ids: readonly WorkerId[]): Promise<readonly (Worker | null)[]>;
  /** Null if there is no such version. */
  environments(ids: readonly EnvironmentId[]): Promise<readonly (EnvironmentView | null)[]>;
  /** The times at which the session ends by itself. Reads nothing. */
  sessionTimes(session: Session): SessionTimes;
  /** When each session was last used. */
  lastActiveAt(sessions: readonly Session[]): Promise<readonly Date[]>;
  /** Empty if the code was pruned. Null if it does not fit into MAX_RESPONSE_BYTES together with those before it. */
  codes(ids: readonly ExecutionId[]): Promise<readonly (string | null)[]>;
  /** The wire by which each execution was requested. Null if that is not recorded any more. */
  vias(ids: readonly ExecutionId[]): Promise<readonly (Principal['door'] | null)[]>;
  /** A page of executions for each. @throws DomainError BAD_USER_INPUT if they are more than an answer may have */
  executions(lists: readonly ExecutionList[]): Promise<readonly Edge<Execution>[][]>;
  /** The position of the execution that a cursor names. Null: it is no such cursor. */
  placeOf(cursor: string): Promise<number | null>;
  /** Null for a page that does not fit into MAX_RESPONSE_BYTES together with those before it. */
  outputs(pages: readonly OutputPage[]): Promise<readonly (readonly OutputItem[] | null)[]>;
}

/** A page of the executions of a session or of one of its contexts. */
export interface ExecutionList extends ExecutionsOf, ExecutionsPart {}

/** When an open session ends by itself: its own times, or else those of the settings. */
export interface SessionTimes {
  /** Null once the session has ended. */
  readonly expiresAt: Date | null;
  readonly idleTimeoutMs: number;
}

export function createAnswerReads(
  { database: { queries }, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
): AnswerReads {
  const maxBytes = config.maxResponseBytes;
  return {
    sessions: async (ids) => {
      const sessions = byIds(ids, await queries.sessions(ids));
      return sessions.map((session) => (session && sees(principal, session) ? session : null));
    },
    sessionTimes: (session) => ({
      expiresAt: session.closedAt === null ? expiryOf(session, config.sessionMaxLifeMs) : null,
      idleTimeoutMs: session.idleTimeoutMs ?? config.sessionIdleTimeoutMs,
    }),
    contexts: async (ids) => byIds(ids, await queries.contexts(ids)),
    openContexts: async (ids) => {
      const contexts = await queries.openContexts(ids);
      return ids.map((id) => contexts.filter(({ sessionId }) => sessionId === id));
    },
    workers: async (ids) => byIds(ids, await queries.workers(ids)),
    environments: async (ids) => {
      const versions = await queries.environmentVersions(ids);
      return versions.map((version) => version && environmentViewOf(principal, version));
    },
    lastActiveAt: async (sessions) => {
      const times = await queries.lastActivity(sessions.map(({ id }) => id));
      return sessions.map(({ id, openedAt }) => later(openedAt, times.get(id) ?? null));
    },
    codes: async (ids) => {
      const codes = await queries.codes(ids, maxBytes);
      return ids.map((id) => codes.get(id) ?? (codes.has(id) ? null : ''));
    },
    vias: async (ids) => {
      const doors = await queries.doors(ids);
      return ids.map((id) => doors.get(id) ?? null);
    },
    executions: async (lists) => {
      const pages = new Map<ExecutionList, Edge<Execution>[]>();
      // As a rule there is one group: the arguments of one field of the document.
      for (const group of groupsOf(lists)) {
        const [{ language, statuses, before, limit }] = group;
        const part = { language, statuses, before, limit };
        const found = await queries.executionPages(group, part, MAX_LIST_ITEMS + 1);
        if (found.flat().length > MAX_LIST_ITEMS) throw tooManyItems();
        for (const [index, list] of group.entries()) pages.set(list, found[index] ?? []);
      }
      return lists.map((list) => pages.get(list) ?? []);
    },
    placeOf: (cursor) => positionOf({ queries }, principal, cursor),
    outputs: (pages) => queries.outputPages(pages, maxBytes),
  };
}

/** The lists by what they ask for of their session or context. None is empty. */
function groupsOf(lists: readonly ExecutionList[]): [ExecutionList, ...ExecutionList[]][] {
  const groups = new Map<string, [ExecutionList, ...ExecutionList[]]>();
  for (const list of lists) {
    const { language, statuses, before, limit } = list;
    const key = JSON.stringify([language, statuses, before, limit]);
    const group = groups.get(key);
    if (group) group.push(list);
    else groups.set(key, [list]);
  }
  return [...groups.values()];
}

function byIds<Id extends string, T extends { readonly id: Id }>(
  ids: readonly Id[],
  things: readonly T[],
): (T | null)[] {
  const found = new Map(things.map((thing) => [thing.id, thing]));
  return ids.map((id) => found.get(id) ?? null);
}

function later(openedAt: Date, at: Date | null): Date {
  return at !== null && at > openedAt ? at : openedAt;
}
