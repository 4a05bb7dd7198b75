import type { SessionId, WorkerId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

export function createSessionQueries(client: Client) {
  return { ...single(client), ...many(client) };
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
     * Open sessions that have been idle since `before`, oldest first: opened before it, with no unfinished execution
     * and none that finished at `before` or later.
     */
    sessionsIdleSince: async (before: Date, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions s WHERE closed_at IS NULL AND opened_at < ${before}
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at IS NULL)
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at >= ${before})
        ORDER BY opened_at, id LIMIT ${limit}`),

    /** Open sessions that were opened before `before`, oldest first. */
    sessionsOpenedBefore: async (before: Date, limit: number): Promise<Session[]> =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL AND opened_at < ${before}
        ORDER BY opened_at, id LIMIT ${limit}`),
  };
}
