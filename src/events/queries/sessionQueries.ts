import type { CloseReason, Session } from '../../domain/session.ts';
import type { Client } from '../connection/client.ts';
import type { SessionQueries } from './queries.ts';
import { firstOrNull } from './rows.ts';

export function createSessionQueries(client: Client): SessionQueries {
  return { ...ofUser(client), ...openOnes(client), ...upkeep(client) };
}

type OfUser = 'session' | 'openSession' | 'lastSession' | 'previousCloseReason';
type OpenOnes = 'openSessionOfWorker' | 'openSessions';

function ofUser({ sql, answered }: Client): Pick<SessionQueries, OfUser> {
  return {
    session: async (id) =>
      firstOrNull(await answered(sql<Session[]>`SELECT * FROM sessions WHERE id = ${id}`)),

    openSession: async (tenant, userUuid) =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND closed_at IS NULL`),
      ),

    lastSession: async (tenant, userUuid) =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions WHERE tenant = ${tenant} AND user_uuid = ${userUuid}
          ORDER BY opened_at DESC, id DESC LIMIT 1`),
      ),

    previousCloseReason: async (tenant, userUuid) => {
      const [row] = await answered(sql<{ closeReason: CloseReason }[]>`
        SELECT close_reason FROM sessions
        WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND closed_at IS NOT NULL
        ORDER BY opened_at DESC, id DESC LIMIT 1`);
      return row?.closeReason ?? null;
    },
  };
}

function openOnes({ sql, answered }: Client): Pick<SessionQueries, OpenOnes> {
  return {
    openSessionOfWorker: async (workerId) =>
      firstOrNull(
        await answered(sql<Session[]>`
          SELECT * FROM sessions WHERE worker_id = ${workerId} AND closed_at IS NULL`),
      ),

    openSessions: async () =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL ORDER BY opened_at, id`),
  };
}

function upkeep({ sql, answered }: Client): Omit<SessionQueries, OfUser | OpenOnes> {
  return {
    sessionsIdleSince: async (before, limit) =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions s WHERE closed_at IS NULL AND opened_at < ${before}
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at IS NULL)
          AND NOT EXISTS (SELECT FROM executions e WHERE e.session_id = s.id AND e.finished_at >= ${before})
        ORDER BY opened_at, id LIMIT ${limit}`),

    sessionsOpenedBefore: async (before, limit) =>
      await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE closed_at IS NULL AND opened_at < ${before}
        ORDER BY opened_at, id LIMIT ${limit}`),
  };
}
