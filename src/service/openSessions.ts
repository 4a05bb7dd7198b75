/**
 * The open sessions, kept in memory so that an execute need not read its session. It is only a cache: a caller commits
 * with the version of its entry, and reads the session anew if the commit is refused.
 */
import type { RecordedEvent } from '../domain/events.ts';
import type { ExecutionOptions } from '../domain/executionOptions.ts';
import { evolveSession, type Session, type SessionEvent, userKey } from '../domain/session.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { followFeed } from '../events/wakeUps/eventNews.ts';

export interface OpenSessions {
  /** The user's open session. The cache is limited by the size of the pool, because each open session has a worker. */
  get(tenant: string, userUuid: string): Session | null;
  /** The number of open sessions that satisfy `isWanted`. */
  count(isWanted: (session: Session) => boolean): number;
  all(): Iterable<Session>;
  /**
   * Calls the listener once, when this gateway learns that the open session has ended. Returns a function that removes
   * the listener.
   */
  onEnd(sessionId: string, listener: () => void): () => void;
  /** Reads the user's session from the database into the cache. */
  refresh(tenant: string, userUuid: string): Promise<void>;
  /**
   * Whether the open session's default context has had an execution. Each call reads the database until the answer is
   * true. If two gateways ask at the same time, both may get false: only a commit decides which execution is the first
   * ({@link Commit.isFirstExecution}).
   */
  hasExecution(session: Session): Promise<boolean>;
  apply(event: RecordedEvent): void;
  load(): Promise<void>;
}

export function createOpenSessions(
  queries: Pick<Queries, 'openSession' | 'openSessions' | 'hasExecution'>,
): OpenSessions {
  const byUser = new Map<string, Session>();
  const byId = new Map<string, Session>();
  /** The open sessions that are known to have had an execution. */
  const used = new Set<string>();
  /** By session id. */
  const endListeners = new Map<string, Set<() => void>>();

  /** Caches a session, unless a newer version of it is cached. From now on, it is the user's open session. */
  function put(session: Session): void {
    const known = byId.get(session.id);
    const newest = known && known.version > session.version ? known : session;
    byUser.set(userKey(newest.tenant, newest.userUuid), newest);
    byId.set(newest.id, newest);
  }

  function remove(session: Session): void {
    byId.delete(session.id);
    used.delete(session.id);
    const key = userKey(session.tenant, session.userUuid);
    if (byUser.get(key)?.id === session.id) byUser.delete(key);
    const listeners = endListeners.get(session.id);
    endListeners.delete(session.id);
    for (const listener of listeners ?? []) listener();
  }

  const feed = followFeed(({ event, streamId, version }) => {
    if (event.type === 'SessionOpened') put(evolveSession(null, event));
    const session = byId.get(streamId);
    if (!session) return;
    if (event.type === 'SessionClosed') remove(session);
    else if (version === session.version + 1) put(evolveSession(session, event as SessionEvent));
  });

  const readInto = (read: () => Promise<readonly Session[]>) =>
    feed.read(read, (sessions) => sessions.forEach(put));

  return {
    get: (tenant, userUuid) => byUser.get(userKey(tenant, userUuid)) ?? null,
    count: (isWanted) => [...byId.values()].filter(isWanted).length,
    all: () => byId.values(),
    onEnd: (sessionId, listener) => {
      const listeners = endListeners.get(sessionId) ?? new Set();
      endListeners.set(sessionId, listeners.add(listener));
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && endListeners.get(sessionId) === listeners)
          endListeners.delete(sessionId);
      };
    },
    refresh: async (tenant, userUuid) => {
      const stale = byUser.get(userKey(tenant, userUuid));
      await readInto(async () => {
        const session = await queries.openSession(tenant, userUuid);
        if (stale && stale.id !== session?.id) remove(stale);
        return session ? [session] : [];
      });
    },
    hasExecution: async ({ id }) => {
      if (!used.has(id) && (await queries.hasExecution(id)) && byId.has(id)) used.add(id);
      return used.has(id);
    },
    apply: (recorded) => {
      const { event, streamKind } = recorded;
      if (event.type === 'ExecutionRequested' && isInDefaultContext(event.data)) {
        if (byId.has(event.data.sessionId)) used.add(event.data.sessionId);
      }
      // A read under way buffers each event that it gets. Events of executions may contain much code, so
      // only events of sessions are passed on.
      if (streamKind === 'session') feed.apply(recorded);
    },
    load: () => readInto(() => queries.openSessions()),
  };
}

/**
 * Whether the execution runs in the default context. Only there, an execution can report lost variables: a new context
 * begins without variables, and a command has none.
 */
function isInDefaultContext({ language, contextId }: ExecutionOptions): boolean {
  return language === undefined && contextId === undefined;
}
