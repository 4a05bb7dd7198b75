/**
 * The open sessions, kept in memory so that an execute need not ask for its own. A cache and no more: whoever uses an entry
 * commits with its version, and a refused commit reads it anew.
 */
import type { RecordedEvent } from '../events/eventTypes.ts';
import { evolveSession } from '../events/projections/evolveSession.ts';
import type { Queries } from '../events/queries/queries.ts';
import type { Session } from '../events/states.ts';

export interface OpenSessions {
  /** Bounded by the pool: each open session has a worker. */
  get(tenant: string, userUuid: string): Session | null;
  /** Reads the user's session from the database into the cache. */
  refresh(tenant: string, userUuid: string): Promise<Session | null>;
  apply(event: RecordedEvent): void;
  load(): Promise<void>;
}

export function createOpenSessions(queries: Queries): OpenSessions {
  const byUser = new Map<string, Session>();
  const byId = new Map<string, Session>();

  function put(session: Session): void {
    byUser.set(userKey(session.tenant, session.userUuid), session);
    byId.set(session.id, session);
  }

  function remove(session: Session): void {
    byId.delete(session.id);
    const key = userKey(session.tenant, session.userUuid);
    if (byUser.get(key)?.id === session.id) byUser.delete(key);
  }

  return {
    get: (tenant, userUuid) => byUser.get(userKey(tenant, userUuid)) ?? null,
    refresh: async (tenant, userUuid) => {
      const stale = byUser.get(userKey(tenant, userUuid));
      const session = await queries.openSession(tenant, userUuid);
      if (session) put(session);
      else if (stale) remove(stale);
      return session;
    },
    apply: ({ event, streamId }) => {
      if (event.type === 'SessionOpened') put(evolveSession(null, event));
      const session = byId.get(streamId);
      if (!session) return;
      if (event.type === 'KernelRestarted') put(evolveSession(session, event));
      else if (event.type === 'SessionClosed') remove(session);
    },
    load: async () => {
      for (const session of await queries.openSessions()) put(session);
    },
  };
}

/** Names a user among all tenants. Neither part can hold U+0000: both are validated. */
export function userKey(tenant: string, userUuid: string): string {
  return `${tenant}\u0000${userUuid}`;
}
