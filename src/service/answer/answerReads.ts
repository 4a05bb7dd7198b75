/** The reads for an answer. Each reads any number of things of one kind at once. */
import type { Context } from '../../domain/context.ts';
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
import { type EnvironmentView, environmentViewOf } from '../environments/environments.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

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
  /** The wire by which each execution was requested. */
  vias(ids: readonly ExecutionId[]): Promise<readonly string[]>;
  /** Null for a page that does not fit into MAX_RESPONSE_BYTES together with those before it. */
  outputs(pages: readonly OutputPage[]): Promise<readonly (readonly OutputItem[] | null)[]>;
}

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
      return ids.map((id) => doors.get(id) ?? 'unknown');
    },
    outputs: (pages) => queries.outputPages(pages, maxBytes),
  };
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
