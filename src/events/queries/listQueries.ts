import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { PoolId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Users } from '../../domain/users.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow, KNOWN_TYPES } from '../store/eventCodec.ts';
import { numbered } from './historyQueries.ts';
import { type ExecutionRow, toExecution } from './rows.ts';

/** An item, and the cursor of its place in the list. */
export interface Placed<T> {
  readonly item: T;
  readonly cursor: string;
}

/** At most `limit` items, and fewer if they would exceed `maxBytes`. */
export interface BoundedPage<T> {
  readonly edges: Placed<T>[];
  /** Whether `maxBytes` ended the page, and not `limit`. */
  readonly isCut: boolean;
}

interface ExecutionFilter {
  readonly tenant: string;
  /** Only these users, whatever `userUuid` says. */
  readonly users: Users | null;
  readonly userUuid: string | null;
  readonly status: Execution['status'] | null;
  /** Only executions requested at this time or later. */
  readonly from: Date | null;
  /** Only executions requested before this time. */
  readonly to: Date | null;
  /** Only executions of sessions whose metadata have all these pairs. */
  readonly metadata: Metadata | null;
}

interface SessionFilter {
  readonly tenant: string;
  /** Only these users, whatever `userUuid` says. */
  readonly users: Users | null;
  readonly userUuid: string | null;
  readonly isOpen: boolean | null;
  /** Only sessions that were opened at this time or later. */
  readonly from: Date | null;
  /** Only sessions with the environment of this name. A name that is null: only those without one. */
  readonly environment: { readonly name: string | null } | null;
  /** Only sessions whose metadata have all these pairs. */
  readonly metadata: Metadata | null;
}

/** A part of a list of sessions. */
interface SessionRange {
  /** Whether the first opened come first. */
  readonly isOldestFirst: boolean;
  /** The id of the session after which it begins. Null: at the beginning of the list. */
  readonly after: string | null;
  readonly limit: number;
}

type Metadata = Session['metadata'];

interface WorkerFilter {
  readonly poolId: PoolId;
  readonly states: readonly Worker['state'][] | null;
  /** Only workers that have, or had, a session of this tenant. */
  readonly tenant: string | null;
}

interface EventBounds {
  readonly limit: number;
  /** Limit for the events' data as JSON (UTF-8). The first event is returned even if it alone is larger. */
  readonly maxBytes: number;
}

/**
 * Pages of lists. Newest first, except events, which come oldest first, and sessions, which can be asked for either way.
 * A filter that is null has no effect.
 */
export function createListQueries({ sql, answered }: Client) {
  /**
   * The end of a list's query: at most `limit` rows whose `column` is below the cursor `before`, highest first. Cursors
   * are values of this column.
   */
  const pageBefore = (column: string, before: string | number | null, limit: number) => sql`
    ${before === null ? sql`` : sql`AND ${sql(column)} < ${before}`}
    ORDER BY ${sql(column)} DESC LIMIT ${limit}`;

  /** The same for a list whose lowest comes first: rows whose `column` is above the cursor `after`. */
  const pageAfter = (column: string, after: string | null, limit: number) => sql`
    ${after === null ? sql`` : sql`AND ${sql(column)} > ${after}`}
    ORDER BY ${sql(column)} LIMIT ${limit}`;

  /** The condition that a row is of a user whom the caller acts for. */
  const ofUsers = (users: Users | null) => {
    if (users === null) return sql``;
    return 'uuid' in users
      ? sql`AND user_uuid = ${users.uuid}`
      : sql`AND starts_with(user_uuid, ${users.prefix})`;
  };

  /** The condition that a session's metadata have all these pairs. Without any, every session has them. */
  const having = (metadata: Metadata) =>
    Object.keys(metadata).length === 0
      ? sql`true`
      : sql`metadata <> '{}'::jsonb AND metadata @> ${JSON.stringify(metadata)}::text::jsonb`;

  return {
    /** @param before position of an execution's ExecutionRequested: only earlier executions are returned */
    executionPage: async (
      { tenant, users, userUuid, status, from, to, metadata }: ExecutionFilter,
      before: number | null,
      limit: number,
    ): Promise<Placed<Execution>[]> => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions WHERE tenant = ${tenant} ${ofUsers(users)}
          ${userUuid === null ? sql`` : sql`AND user_uuid = ${userUuid}`}
          ${status === null ? sql`` : sql`AND status = ${status}`}
          ${from === null ? sql`` : sql`AND requested_at >= ${from}`}
          ${to === null ? sql`` : sql`AND requested_at < ${to}`}
          ${metadata === null ? sql`` : sql`AND session_id IN (SELECT id FROM sessions WHERE ${having(metadata)})`}
          ${pageBefore('requested_position', before, limit)}`);
      return rows.map((row) => ({ item: toExecution(row), cursor: row.id }));
    },

    /** Ordered by id, and thus by the time of creation. */
    sessionPage: async (
      { tenant, users, userUuid, isOpen, from, environment, metadata }: SessionFilter,
      { isOldestFirst, after, limit }: SessionRange,
    ): Promise<Placed<Session>[]> => {
      const rows = await answered(sql<Session[]>`
        SELECT * FROM sessions WHERE tenant = ${tenant} ${ofUsers(users)}
          ${userUuid === null ? sql`` : sql`AND user_uuid = ${userUuid}`}
          ${isOpen === null ? sql`` : sql`AND closed_at ${isOpen ? sql`IS NULL` : sql`IS NOT NULL`}`}
          ${from === null ? sql`` : sql`AND opened_at >= ${from}`}
          ${environment === null ? sql`` : sql`AND environment IS NOT DISTINCT FROM ${environment.name}`}
          ${metadata === null ? sql`` : sql`AND ${having(metadata)}`}
          ${isOldestFirst ? pageAfter('id', after, limit) : pageBefore('id', after, limit)}`);
      return rows.map((item) => ({ item, cursor: item.id }));
    },

    /** Ordered by id, and thus by the time of creation. */
    workerPage: async (
      { poolId, states, tenant }: WorkerFilter,
      before: string | null,
      limit: number,
    ): Promise<Placed<Worker>[]> => {
      const rows = await answered(sql<Worker[]>`
        SELECT * FROM workers WHERE pool_id = ${poolId}
          ${states === null ? sql`` : sql`AND state = ANY (${[...states]}::text[])`}
          ${tenant === null ? sql`` : sql`AND id IN (SELECT worker_id FROM sessions WHERE tenant = ${tenant})`}
          ${pageBefore('id', before, limit)}`);
      return rows.map((item) => ({ item, cursor: item.id }));
    },

    eventPage: async (
      types: readonly string[] | null,
      after: number,
      { limit, maxBytes }: EventBounds,
    ): Promise<BoundedPage<RecordedEvent>> => {
      // The query walks from event to event, and stops at the byte limit. It does not measure a whole page first: with
      // large events, that could take longer than the time limit of a statement.
      const rows = await answered(sql<(EventRow & { lastNth: number })[]>`
        WITH RECURSIVE walk AS (
          SELECT 0::bigint AS nth, ${after}::bigint AS position, 0::bigint AS bytes_until
          UNION ALL
          SELECT w.nth + 1, next.position, w.bytes_until + next.bytes FROM walk w, LATERAL (
            SELECT position, octet_length(data::text) AS bytes FROM events WHERE position > w.position
              AND type = ANY (${[...(types ?? KNOWN_TYPES)]}::text[])
            ORDER BY position LIMIT 1
          ) next
          WHERE w.nth < ${limit} AND (w.bytes_until <= ${maxBytes} OR w.nth = 1)
        )
        SELECT e.*, (SELECT max(nth) FROM walk) AS last_nth FROM walk w JOIN events e ON e.position = w.position
        WHERE w.nth > 0 AND (w.bytes_until <= ${maxBytes} OR w.nth = 1) ORDER BY e.position`);
      const edges = rows.map(decodeEvent).map((item) => ({ item, cursor: String(item.position) }));
      return { edges, isCut: edges.length < (rows[0]?.lastNth ?? 0) };
    },

    /**
     * Like `eventPage`, but only the events of a tenant: each has its number among these as its position. Events that
     * are not sealed yet are left out.
     */
    tenantEventPage: async (
      tenant: string,
      types: readonly string[] | null,
      after: number,
      { limit, maxBytes }: EventBounds,
    ): Promise<BoundedPage<RecordedEvent>> => {
      const rows = await answered(sql<(EventRow & { number: number; lastNth: number })[]>`
        WITH RECURSIVE walk AS (
          SELECT 0::bigint AS nth, ${after}::bigint AS number, 0::bigint AS position, 0::bigint AS bytes_until
          UNION ALL
          SELECT w.nth + 1, next.number, next.position, w.bytes_until + next.bytes FROM walk w, LATERAL (
            SELECT l.number, l.position, octet_length(e.data::text) AS bytes
            FROM event_links l JOIN events e ON e.position = l.position
            WHERE l.tenant = ${tenant} AND l.number > w.number
              AND e.type = ANY (${[...(types ?? KNOWN_TYPES)]}::text[])
            ORDER BY l.number LIMIT 1
          ) next
          WHERE w.nth < ${limit} AND (w.bytes_until <= ${maxBytes} OR w.nth = 1)
        )
        SELECT e.*, w.number, (SELECT max(nth) FROM walk) AS last_nth
        FROM walk w JOIN events e ON e.position = w.position
        WHERE w.nth > 0 AND (w.bytes_until <= ${maxBytes} OR w.nth = 1) ORDER BY w.number`);
      const edges = rows.map(({ lastNth: _, ...row }) => {
        const item = numbered(row);
        return { item, cursor: String(item.position) };
      });
      return { edges, isCut: edges.length < (rows[0]?.lastNth ?? 0) };
    },
  };
}
