import type { Client } from '../client.ts';
import { decodeEvent, type EventRow } from '../eventCodec.ts';
import type { Session, Worker } from '../states.ts';
import type { ListQueries } from './queries.ts';
import { type ExecutionRow, toExecution } from './rows.ts';

export function createListQueries({ sql, answered }: Client): ListQueries {
  return {
    executionPage: async ({ tenant, userUuid, status, from, to }, before, limit) => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions WHERE tenant = ${tenant}
          ${userUuid === null ? sql`` : sql`AND user_uuid = ${userUuid}`}
          ${status === null ? sql`` : sql`AND status = ${status}`}
          ${from === null ? sql`` : sql`AND requested_at >= ${from}`}
          ${to === null ? sql`` : sql`AND requested_at < ${to}`}
          ${before === null ? sql`` : sql`AND requested_position < ${before}`}
        ORDER BY requested_position DESC LIMIT ${limit}`);
      return rows.map((row) => ({
        item: toExecution(row),
        cursor: String(row.requestedPosition),
      }));
    },

    sessionPage: async ({ tenant, userUuid, isOpen }, before, limit) => {
      const rows = await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE tenant = ${tenant}
          ${userUuid === null ? sql`` : sql`AND user_uuid = ${userUuid}`}
          ${isOpen === null ? sql`` : sql`AND (closed_at IS NULL) = ${isOpen}`}
          ${before === null ? sql`` : sql`AND id < ${before}`}
        ORDER BY id DESC LIMIT ${limit}`);
      return rows.map((item) => ({ item, cursor: item.id }));
    },

    workerPage: async ({ poolId, states }, before, limit) => {
      const rows = await answered(sql<Worker[]>`
        SELECT * FROM workers WHERE pool_id = ${poolId}
          ${states === null ? sql`` : sql`AND state = ANY (${[...states]}::text[])`}
          ${before === null ? sql`` : sql`AND id < ${before}`}
        ORDER BY id DESC LIMIT ${limit}`);
      return rows.map((item) => ({ item, cursor: item.id }));
    },

    eventPage: async (types, after, limit) => {
      const rows = await answered(sql<EventRow[]>`
        SELECT * FROM events WHERE position > ${after}
          ${types === null ? sql`` : sql`AND type = ANY (${[...types]}::text[])`}
        ORDER BY position LIMIT ${limit}`);
      return rows.map(decodeEvent).map((item) => ({ item, cursor: String(item.position) }));
    },
  };
}
