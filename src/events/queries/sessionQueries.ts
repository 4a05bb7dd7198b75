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

    /** The open session that the worker serves. */
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

    /**
     * Open sessions that have been idle since `before`, oldest first: opened before it, with no unfinished execution,
     * none that finished at `before` or later, and no other use since then.
     */
    sessionsIdleSince: async (before: Date, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions s WHERE closed_at IS NULL AND opened_at < ${before}
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at IS NULL)
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at >= ${before})
          AND NOT EXISTS (SELECT FROM session_uses u WHERE u.session_id = s.id AND u.used_at >= ${before})
        ORDER BY opened_at, id LIMIT ${limit}`),

    /** Open sessions that were opened before `before`, oldest first. */
    sessionsOpenedBefore: async (before: Date, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL AND opened_at < ${before}
        ORDER BY opened_at, id LIMIT ${limit}`),
  };
}

function uses({ sql, answered }: Client) {
  return {
    /**
     * Records that an open session is used at `at`, other than by an execution. False: the session is closed, and
     * nothing was recorded. A session that is just being closed is waited for, so a use and an end as idle never both
     * succeed.
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
  };
}
