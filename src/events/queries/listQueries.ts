import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow } from '../store/eventCodec.ts';
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

    eventPage: async (types, after, { limit, maxBytes }) => {
      // From one to the next and no further than the bytes allow: to measure a page of code takes longer than a statement may.
      const rows = await answered(sql<(EventRow & { lastNth: number })[]>`
        WITH RECURSIVE walk AS (
          SELECT 0::bigint AS nth, ${after}::bigint AS position, 0::bigint AS bytes_until
          UNION ALL
          SELECT w.nth + 1, next.position, w.bytes_until + next.bytes FROM walk w, LATERAL (
            SELECT position, octet_length(data::text) AS bytes FROM events WHERE position > w.position
              ${types === null ? sql`` : sql`AND type = ANY (${[...types]}::text[])`}
            ORDER BY position LIMIT 1
          ) next
          WHERE w.nth < ${limit} AND (w.bytes_until <= ${maxBytes} OR w.nth = 1)
        )
        SELECT e.*, (SELECT max(nth) FROM walk) AS last_nth FROM walk w JOIN events e ON e.position = w.position
        WHERE w.nth > 0 AND (w.bytes_until <= ${maxBytes} OR w.nth = 1) ORDER BY e.position`);
      const edges = rows.map(decodeEvent).map((item) => ({ item, cursor: String(item.position) }));
      return { edges, isCut: edges.length < (rows[0]?.lastNth ?? 0) };
    },
  };
}
