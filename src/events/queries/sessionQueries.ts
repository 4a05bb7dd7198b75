import type { SessionId, WorkerId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

export function createSessionQueries(client: Client) {
  return { ...single(client), ...many(client), ...uses(client) };
}

function single({ sql, answered }: Client) {
  return {
    session: async (id: SessionId): Promise<Session | null> =>
      firstOrNull(await answered(sql<Session[]>`SELECT * FROM sessions WHERE id = ${id}`)),

    /** The user's open session; there is at most one. */
    openSession: async (tenant: string, userUuid: string): Promise<Session | null> =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND closed_at IS NULL`),
      ),

    /** The user's session that was opened last, open or closed. */
    lastSession: async (tenant: string, userUuid: string): Promise<Session | null> =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions WHERE tenant = ${tenant} AND user_uuid = ${userUuid}
          ORDER BY opened_at DESC, id DESC LIMIT 1`),
      ),

    openSessionOfWorker: async (workerId: WorkerId): Promise<Session | null> =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions WHERE worker_id = ${workerId} AND closed_at IS NULL`),
      ),
  };
}

function many({ sql, answered }: Client) {
  return {
    /** All open sessions, oldest first. */
    openSessions: async (): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL ORDER BY opened_at, id`),

    /** How many open sessions each tenant has. A tenant without any is absent. */
    openSessionsByTenant: async (): Promise<Map<string, number>> => {
      const rows = await answered(sql<{ tenant: string; count: number }[]>`
        SELECT tenant, count(*)::int AS count FROM sessions WHERE closed_at IS NULL GROUP BY tenant`);
      return new Map(rows.map(({ tenant, count }) => [tenant, count]));
    },

    /**
     * Open sessions that are idle, oldest first. They were opened before their idle time began, have no unfinished
     * execution, and had neither the end of an execution nor another use in that time. Of a command that does not keep
     * its session alive, only the request counts as a use.
     */
    idleSessions: async (at: Date, timeoutMs: number, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT s.* FROM sessions s, LATERAL (
          SELECT ${at}::timestamptz - coalesce(s.idle_timeout_ms, ${timeoutMs}) * interval '1 ms' AS since
        ) idle
        WHERE s.closed_at IS NULL AND s.opened_at < idle.since
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at IS NULL
            AND (e.keeps_alive OR e.requested_at >= idle.since))
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at >= idle.since
            AND (e.keeps_alive OR e.requested_at >= idle.since))
          AND NOT EXISTS (SELECT FROM session_uses u WHERE u.session_id = s.id AND u.used_at >= idle.since)
        ORDER BY s.opened_at, s.id LIMIT ${limit}`),

    /**
     * Open sessions whose life is over at `at`, oldest first.
     * @param maxLifeMs the life of a session that has none of its own, counted from its opening
     */
    expiredSessions: async (at: Date, maxLifeMs: number, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL
          AND coalesce(expires_at, opened_at + ${maxLifeMs} * interval '1 ms') <= ${at}
        ORDER BY opened_at, id LIMIT ${limit}`),
  };
}

function uses({ sql, answered }: Client) {
  return {
    /**
     * Records that an open session is used at `at`, other than by an execution. Resolves with false, and records
     * nothing, if the session is closed. If the session is just being closed, this waits for the outcome. So a use and
     * an end as idle never both succeed.
     */
    touchSession: async (id: SessionId, at: Date): Promise<boolean> => {
      const { count } = await answered(sql`
        WITH open AS (
          SELECT s.id FROM sessions s WHERE s.id = ${id} AND s.closed_at IS NULL FOR SHARE
        )
        INSERT INTO session_uses AS u (session_id, used_at) SELECT open.id, ${at}::timestamptz FROM open
        ON CONFLICT (session_id) DO UPDATE SET used_at = greatest(u.used_at, excluded.used_at)`);
      return count > 0;
    },

    /** Records that an environment was asked for at `at`. */
    recordEnvironmentUse: async (name: string, at: Date): Promise<void> => {
      await answered(sql`
        INSERT INTO environment_uses AS u (name, asked_at) VALUES (${name}, ${at})
        ON CONFLICT (name) DO UPDATE SET asked_at = greatest(u.asked_at, excluded.asked_at)`);
    },

    /** The names of environments that were asked for at `since` or later, the most recent first. */
    environmentsAskedSince: async (since: Date): Promise<string[]> => {
      const rows = await answered(sql<{ name: string }[]>`
        SELECT name FROM environment_uses WHERE asked_at >= ${since} ORDER BY asked_at DESC, name`);
      return rows.map(({ name }) => name);
    },

    /** Whether the user has accepted the end of this session with options. */
    isEndAccepted: async (id: SessionId): Promise<boolean> => {
      const rows = await answered(sql`SELECT FROM accepted_ends WHERE session_id = ${id}`);
      return rows.length > 0;
    },

    /** Records that the user accepts the end of this session. Idempotent. */
    acceptEnd: async (id: SessionId): Promise<void> => {
      await answered(
        sql`INSERT INTO accepted_ends (session_id) VALUES (${id}) ON CONFLICT DO NOTHING`,
      );
    },

    /**
     * The values of the session's environment variables. Null if there are none: they are deleted when the session
     * ends.
     */
    sessionVariables: async (id: SessionId): Promise<Readonly<Record<string, string>> | null> => {
      const rows = await answered(sql<{ name: string; value: string }[]>`
        SELECT name, value FROM session_variables WHERE session_id = ${id}`);
      if (rows.length === 0) return null;
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    },

    /**
     * Deletes the variables, uses and readers of sessions that are not open, and the readers of ended contexts. A
     * trigger deletes variables and uses when a session ends, but not if a rebuild of the projections closed it.
     */
    deleteLeftOfSessions: async (): Promise<void> => {
      await answered(sql`
        DELETE FROM session_variables v
        WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = v.session_id AND s.closed_at IS NULL)`);
      await answered(sql`
        DELETE FROM session_uses u
        WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = u.session_id AND s.closed_at IS NULL)`);
      await answered(sql`
        DELETE FROM context_readers r
        WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = r.session_id AND s.closed_at IS NULL)
          OR EXISTS (SELECT FROM contexts c WHERE c.id = r.context_id AND c.ended_at IS NOT NULL)`);
    },

    /** Whether the session's default context ever had an execution. */
    hasExecution: async (id: SessionId): Promise<boolean> => {
      const rows = await answered(sql`SELECT FROM executions
        WHERE session_id = ${id} AND language = 'PYTHON' AND context_id IS NULL LIMIT 1`);
      return rows.length > 0;
    },
  };
}
