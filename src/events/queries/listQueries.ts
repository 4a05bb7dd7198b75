/** Queries for many entities at once: pages of lists, and reads for a list of ids. */
import type { AuditHead } from '../../domain/auditHead.ts';
import { type EntityState, fold, type StreamKind } from '../../domain/entities.ts';
import { type Actor, parseStreamId, type RecordedEvent, streamIdOf } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { Language } from '../../domain/executionOptions.ts';
import type { ContextId, ExecutionId, PoolId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Finish, Output, OutputItem, OutputPage } from '../../domain/output.ts';
import type { Session } from '../../domain/session.ts';
import type { Owner, Users } from '../../domain/users.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client, Sql } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';
import { decodeJson } from '../store/preparedCommit.ts';
import { decodeEvent, type EventRow, KNOWN_TYPES } from '../store/readEvents.ts';

/** An item, and the cursor of its place in the list. */
export interface Edge<T> {
  readonly item: T;
  readonly cursor: string;
}

/** At most `limit` items, and fewer if they would exceed `maxBytes`. */
export interface BoundedPage<T> {
  readonly edges: Edge<T>[];
  /** Whether `maxBytes` ended the page, and not `limit`. */
  readonly isCut: boolean;
}

interface ExecutionFilter {
  readonly tenant: string;
  /** Only these users, whatever `userUuid` says. */
  readonly users: Users | null;
  readonly userUuid: string | null;
  readonly sessionId: SessionId | null;
  /** Only cells of this context. The default context has the id of its session. Commands have no context. */
  readonly contextId: ContextId | SessionId | null;
  readonly language: Language | null;
  readonly statuses: readonly Execution['status'][] | null;
  /** Only executions requested at this time or later. */
  readonly from: Date | null;
  /** Only executions requested before this time. */
  readonly to: Date | null;
  /** Only executions of sessions whose metadata have all these pairs. */
  readonly metadata: Metadata | null;
}

/** The session, or the context of a session, whose executions are listed. */
export interface ExecutionsOf {
  readonly sessionId: SessionId;
  /** Null: the executions of all contexts, and commands. */
  readonly contextId: ContextId | SessionId | null;
}

/** The part of each list that is read. */
export interface ExecutionsPart extends Pick<ExecutionFilter, 'language' | 'statuses'> {
  /** The position of an execution: only earlier ones are returned. */
  readonly before: number | null;
  readonly limit: number;
}

interface SessionFilter {
  readonly tenant: string;
  /** Only these users, whatever `userUuid` says. */
  readonly users: Users | null;
  readonly userUuid: string | null;
  readonly isOpen: boolean | null;
  /** Only sessions that were opened at this time or later. */
  readonly from: Date | null;
  /** Only sessions with the environment of this name. With a null name: only sessions without an environment. */
  readonly environment: { readonly name: string | null } | null;
  /** Only sessions whose metadata have all these pairs. */
  readonly metadata: Metadata | null;
}

/** A part of a list of sessions. */
interface SessionRange {
  /** Whether the oldest sessions come first. */
  readonly isOldestFirst: boolean;
  /** The part begins after the session with this id. Null: at the beginning of the list. */
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
 * Pages of lists. Newest first, except events, which come oldest first, and sessions, which come in the order of
 * `isOldestFirst`. A filter that is null has no effect.
 */
export function createListQueries({ sql, answered }: Client) {
  /**
   * The end of a list's query: at most `limit` rows whose `column` is below the cursor `before`, highest first. Cursors
   * are values of this column.
   */
  const pageBefore = (column: string, before: string | number | null, limit: number) => sql`
    ${before === null ? sql`` : sql`AND ${sql(column)} < ${before}`}
    ORDER BY ${sql(column)} DESC LIMIT ${limit}`;

  /** The same for a list in ascending order: rows whose `column` is above the cursor `after`. */
  const pageAfter = (column: string, after: string | null, limit: number) => sql`
    ${after === null ? sql`` : sql`AND ${sql(column)} > ${after}`}
    ORDER BY ${sql(column)} LIMIT ${limit}`;

  /** The condition that a row belongs to one of these users. */
  const ofUsers = (users: Users | null) => {
    if (users === null) return sql``;
    return 'uuid' in users
      ? sql`AND user_uuid = ${users.uuid}`
      : sql`AND starts_with(user_uuid, ${users.prefix})`;
  };

  /** The condition that a session's metadata have all these pairs. Without pairs, it is true. */
  const having = (metadata: Metadata) =>
    Object.keys(metadata).length === 0
      ? sql`true`
      : sql`metadata <> '{}'::jsonb AND metadata @> ${JSON.stringify(metadata)}::text::jsonb`;

  const ofKind = ({ language, statuses }: Pick<ExecutionFilter, 'language' | 'statuses'>) => sql`
    ${language === null ? sql`` : sql`AND language = ${language}`}
    ${statuses === null ? sql`` : sql`AND status = ANY (${[...statuses]}::text[])`}`;

  /** The condition that a cell ran in this context. */
  const inContext = (id: ReturnType<Sql>) =>
    sql`language = 'PYTHON' AND (context_id = ${id} OR (context_id IS NULL AND session_id = ${id}))`;

  return {
    /** @param before position of an execution's ExecutionRequested: only earlier executions are returned */
    executionPage: async (
      {
        tenant,
        users,
        userUuid,
        sessionId,
        contextId,
        from,
        to,
        metadata,
        ...rest
      }: ExecutionFilter,
      before: number | null,
      limit: number,
    ): Promise<Edge<Execution>[]> => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions WHERE tenant = ${tenant} ${ofUsers(users)}
          ${userUuid === null ? sql`` : sql`AND user_uuid = ${userUuid}`}
          ${sessionId === null ? sql`` : sql`AND session_id = ${sessionId}`}
          ${contextId === null ? sql`` : sql`AND ${inContext(sql`${contextId}::uuid`)}`}
          ${ofKind(rest)}
          ${from === null ? sql`` : sql`AND requested_at >= ${from}`}
          ${to === null ? sql`` : sql`AND requested_at < ${to}`}
          ${metadata === null ? sql`` : sql`AND session_id IN (SELECT id FROM sessions WHERE ${having(metadata)})`}
          ${pageBefore('requested_position', before, limit)}`);
      return rows.map((row) => ({ item: toExecution(row), cursor: row.id }));
    },

    /**
     * The same part of several lists, in the order of `lists`, each with the last accepted first.
     * @param most how many executions are returned of all lists together. Further executions are left out.
     */
    executionPages: async (
      lists: readonly ExecutionsOf[],
      { before, limit, ...kind }: ExecutionsPart,
      most: number,
    ): Promise<Edge<Execution>[][]> => {
      const rows = await answered(sql<(ExecutionRow & { nth: number })[]>`
        SELECT x.*, asked.nth FROM unnest(${lists.map((list) => list.sessionId)}::uuid[],
          ${lists.map((list) => list.contextId)}::uuid[]) WITH ORDINALITY asked (session, context, nth), LATERAL (
          SELECT * FROM executions WHERE session_id = asked.session
            AND (asked.context IS NULL OR ${inContext(sql`asked.context`)}) ${ofKind(kind)}
            ${pageBefore('requested_position', before, limit)}
        ) x ORDER BY asked.nth, x.requested_position DESC LIMIT ${most}`);
      const pages = lists.map((): Edge<Execution>[] => []);
      for (const { nth, ...row } of rows)
        pages[nth - 1]?.push({ item: toExecution(row), cursor: row.id });
      return pages;
    },

    /** Ordered by id, and thus by the time of creation. */
    sessionPage: async (
      { tenant, users, userUuid, isOpen, from, environment, metadata }: SessionFilter,
      { isOldestFirst, after, limit }: SessionRange,
    ): Promise<Edge<Session>[]> => {
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
    ): Promise<Edge<Worker>[]> => {
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
     * Like `eventPage`, but only the events of a tenant. The position of an event is then its number among the tenant's
     * events. Events that are not sealed yet are left out.
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

/** An output of the `nth` page. If its seq is null, the page does not fit within the limit. */
type PageRow = { readonly nth: number } & (
  | (Omit<OutputItem, 'output'> & { readonly body: Output | Finish })
  | { readonly seq: null }
);

/** Queries that look up many ids in one read. Unless a query says otherwise, its result has no order. */
export function createManyQueries(client: Client, freshOutputs: FreshOutputs) {
  return { ...ofEntities(client), ...ofOutputs(client, freshOutputs) };
}

function ofEntities({ sql, answered }: Client) {
  return {
    sessions: async (ids: readonly SessionId[]): Promise<Session[]> =>
      await answered(sql<Session[]>`SELECT * FROM sessions WHERE id = ANY (${[...ids]}::uuid[])`),

    workers: async (ids: readonly WorkerId[]): Promise<Worker[]> =>
      await answered(sql<Worker[]>`SELECT * FROM workers WHERE id = ANY (${[...ids]}::uuid[])`),

    /**
     * When an execution of the session was last requested or finished, or when the open session was last used in
     * another way. Null if it had no use.
     */
    lastActivity: async (
      ids: readonly SessionId[],
    ): Promise<ReadonlyMap<SessionId, Date | null>> => {
      // The end of a finished execution is later than its request. So requests matter for unfinished executions only, and
      // for commands that do not keep their session alive.
      const rows = await answered(sql<{ id: SessionId; at: Date | null }[]>`
        SELECT s.id, greatest(
          (SELECT max(finished_at) FROM executions WHERE session_id = s.id AND keeps_alive),
          (SELECT max(requested_at) FROM executions
            WHERE session_id = s.id AND (finished_at IS NULL OR NOT keeps_alive)),
          (SELECT used_at FROM session_uses WHERE session_id = s.id)
        ) AS at FROM unnest(${[...ids]}::uuid[]) s (id)`);
      return new Map(rows.map(({ id, at }) => [id, at]));
    },

    /**
     * The exact code of each execution. Codes are given in the order of `ids` up to `maxBytes` of UTF-8 together;
     * beyond that, the code is null. An execution whose events were pruned is left out.
     */
    codes: async (
      ids: readonly ExecutionId[],
      maxBytes: number,
    ): Promise<ReadonlyMap<ExecutionId, string | null>> => {
      const rows = await answered(sql<{ id: ExecutionId; isWhole: boolean; code: unknown }[]>`
        WITH sized AS (
          SELECT x.id, sum(x.code_bytes) OVER (ORDER BY asked.nth) <= ${maxBytes} AS is_whole
          FROM unnest(${[...ids]}::uuid[]) WITH ORDINALITY asked (id, nth) JOIN executions x ON x.id = asked.id
        )
        SELECT s.id, s.is_whole, CASE WHEN s.is_whole THEN e.data -> 'code' END AS code FROM sized s
        JOIN events e ON e.stream_id = 'execution-' || s.id AND e.version = 1`);
      return new Map(
        rows.map(({ id, isWhole, code }) => [id, isWhole ? String(decodeJson(code)) : null]),
      );
    },

    /**
     * The protocol through which each execution was requested. Null if its event names no actor. An execution whose
     * events were pruned is left out.
     */
    doors: async (
      ids: readonly ExecutionId[],
    ): Promise<ReadonlyMap<string, Actor['door'] | null>> => {
      const streams = ids.map((id) => streamIdOf('execution', id));
      const rows = await answered(sql<{ streamId: string; door: Actor['door'] | null }[]>`
        SELECT stream_id, metadata -> 'actor' ->> 'door' AS door FROM events
        WHERE stream_id = ANY (${streams}::text[]) AND version = 1`);
      return new Map(rows.map(({ streamId, door }) => [parseStreamId(streamId).id, door]));
    },
  };
}

function ofOutputs({ sql, answered }: Client, freshOutputs: FreshOutputs) {
  return {
    /**
     * The outputs of each page, in the order of `pages`: together at most `maxBytes` of stored JSON bodies (UTF-8). A
     * page that does not fit into the remaining bytes is null as a whole.
     */
    outputPages: async (
      pages: readonly OutputPage[],
      maxBytes: number,
    ): Promise<(readonly OutputItem[] | null)[]> => {
      const fresh = freshOutputs.pages(pages, maxBytes);
      if (fresh !== null) return fresh;
      // Sizes are read first, and bodies only for the result: a body can be megabytes.
      const rows = await answered(sql<PageRow[]>`
        WITH sized AS (
          SELECT asked.nth, page.execution_id, page.seq,
            row_number() OVER (PARTITION BY asked.nth ORDER BY page.seq) AS nth_of_page,
            sum(page.bytes) OVER (ORDER BY asked.nth, page.seq) AS bytes_until
          FROM unnest(${pages.map(({ executionId }) => executionId)}::uuid[], ${pages.map(({ after }) => after)}::bigint[],
            ${pages.map(({ limit }) => limit)}::bigint[]) WITH ORDINALITY asked (id, after, "limit", nth),
          LATERAL (
            SELECT execution_id, seq, bytes FROM output_events
            WHERE execution_id = asked.id AND seq > asked.after ORDER BY seq LIMIT asked."limit"
          ) page
        ), judged AS (
          SELECT *, max(bytes_until) OVER (PARTITION BY nth) <= ${maxBytes} AS is_whole FROM sized
        )
        SELECT j.nth, o.execution_id, o.seq, o.at, o.body FROM judged j
        LEFT JOIN output_events o ON j.is_whole AND o.execution_id = j.execution_id AND o.seq = j.seq
        WHERE j.is_whole OR j.nth_of_page = 1 ORDER BY j.nth, j.seq`);
      const items: (OutputItem[] | null)[] = pages.map(() => []);
      for (const row of rows) {
        const index = row.nth - 1;
        if (row.seq === null) items[index] = null;
        else {
          const { executionId, seq, at, body } = row;
          items[index]?.push({ executionId, seq, at, output: body });
        }
      }
      return items;
    },
  };
}

/**
 * Times in rows come from the gateways' clocks, and the recording times of events from the database's. Rows only select
 * the streams to fold. The selection allows for clocks that differ by this much.
 */
const CLOCK_SLACK_MS = 60_000;
/**
 * Only the last session that a user opened before a time can be open at that time. The sessions before it are read
 * because clocks may disagree.
 */
const MAX_CANDIDATES = 3;

/** Past states, folded from the events recorded by a given time (by the database's clock). */
export function createHistoryQueries({ sql, answered }: Client) {
  /** The events of `page`, a page of one stream, up to the limit in bytes. */
  const withinBytes = ({ maxBytes }: Pick<EventBounds, 'maxBytes'>) => sql`
    SELECT * FROM (
      SELECT *, row_number() OVER (ORDER BY version) AS nth, count(*) OVER () AS found,
        sum(octet_length(data::text)) OVER (ORDER BY version) AS bytes_until FROM page
    ) sized WHERE bytes_until <= ${maxBytes} OR nth = 1 ORDER BY version`;

  return {
    /** The session that the user had open at `at`. Null if there was none, or if its events were pruned. */
    sessionAt: async (tenant: string, userUuid: string, at: Date): Promise<Session | null> => {
      const rows = await answered(sql<EventRow[]>`
        SELECT e.* FROM (
          SELECT id FROM sessions
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND opened_at <= ${later(at)}
          ORDER BY opened_at DESC LIMIT ${MAX_CANDIDATES}) s
        JOIN events e ON e.stream_id = 'session-' || s.id
        WHERE e.recorded_at <= ${at} AND e.type = ANY (${[...KNOWN_TYPES]}::text[]) ORDER BY e.position`);
      const sessions = foldAll<Session>(rows);
      return sessions.find(({ closedAt }) => closedAt === null) ?? null;
    },

    /** The workers of the pool that were requested and not yet removed at `at`, in the order of their requests. */
    workersAt: async (poolId: PoolId, at: Date): Promise<Worker[]> => {
      const rows = await answered(sql<EventRow[]>`
        SELECT e.* FROM workers w JOIN events e ON e.stream_id = 'worker-' || w.id
        WHERE w.pool_id = ${poolId} AND w.requested_at <= ${later(at)}
          AND (w.removed_at IS NULL OR w.removed_at >= ${earlier(at)})
          AND e.recorded_at <= ${at} AND e.type = ANY (${[...KNOWN_TYPES]}::text[]) ORDER BY e.position`);
      return foldAll<Worker>(rows).filter(({ state }) => state !== 'REMOVED');
    },

    /** The session's executions that were unfinished at `at` (by the gateways' clocks), in their current state. */
    unfinishedAt: async (sessionId: SessionId, at: Date): Promise<Execution[]> => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions x WHERE session_id = ${sessionId} AND requested_at <= ${at}
          AND (finished_at IS NULL OR finished_at > ${at}) ORDER BY requested_position`);
      return rows.map(toExecution);
    },

    /**
     * Like `streamPage`, but only the events of a tenant. The position of an event is then its number among the
     * tenant's events. Events that are not sealed yet are left out.
     */
    tenantStreamPage: async (
      tenant: string,
      { kind, id }: { readonly kind: StreamKind; readonly id: string },
      afterVersion: number,
      bounds: EventBounds,
    ): Promise<BoundedPage<RecordedEvent>> => {
      const rows = await answered(sql<(StreamRow & { number: number })[]>`
        WITH page AS (
          SELECT e.*, l.number FROM events e JOIN event_links l ON l.position = e.position AND l.tenant = ${tenant}
          WHERE e.stream_id = ${streamIdOf(kind, id)} AND e.version > ${afterVersion}::bigint
            AND e.type = ANY (${[...KNOWN_TYPES]}::text[])
          ORDER BY e.version LIMIT ${bounds.limit})
        ${withinBytes(bounds)}`);
      return streamPageOf(rows, numbered);
    },

    /** Events of one stream with a version above `afterVersion`, in order. Their versions are the cursors. */
    streamPage: async (
      kind: StreamKind,
      id: string,
      afterVersion: number,
      bounds: EventBounds,
    ): Promise<BoundedPage<RecordedEvent>> => {
      const rows = await answered(sql<StreamRow[]>`
        WITH page AS (
          SELECT * FROM events WHERE stream_id = ${streamIdOf(kind, id)} AND version > ${afterVersion}::bigint
            AND type = ANY (${[...KNOWN_TYPES]}::text[])
          ORDER BY version LIMIT ${bounds.limit})
        ${withinBytes(bounds)}`);
      return streamPageOf(rows, decodeEvent);
    },
  };
}

/** An event of a page of a stream, and how many events the page would have without the limit in bytes. */
type StreamRow = EventRow & { readonly found: number };

function streamPageOf<Row extends StreamRow>(
  rows: readonly Row[],
  decode: (row: Row) => RecordedEvent,
): BoundedPage<RecordedEvent> {
  const edges = rows.map(decode).map((item) => ({ item, cursor: String(item.version) }));
  return { edges, isCut: edges.length < (rows[0]?.found ?? 0) };
}

/** The event with its number in place of its position among all events. */
function numbered({ number, ...row }: EventRow & { readonly number: number }): RecordedEvent {
  return { ...decodeEvent(row), position: number };
}

const later = (at: Date) => new Date(at.getTime() + CLOCK_SLACK_MS);
const earlier = (at: Date) => new Date(at.getTime() - CLOCK_SLACK_MS);

/** The states of all streams in these rows, in the order in which the streams began. */
function foldAll<S extends Worker | Session>(rows: readonly EventRow[]): S[] {
  const states = new Map<string, EntityState>();
  for (const { streamKind, streamId, event } of rows.map(decodeEvent))
    states.set(streamId, fold(streamKind, states.get(streamId) ?? null, [event]));
  return [...states.values()] as S[];
}

export function createChainQueries({ sql, answered }: Client) {
  return {
    /**
     * Seals at most `limit` events, or 16 MiB of them, and closes a day if one is over
     * (`migrations/sql/cellhouse_seal.sql`). Resolves with the number of sealed events, which is less than `limit` only
     * if no more are left: if the byte limit ends the page, the result is `limit`.
     */
    sealEvents: async (gatewayId: string, limit: number): Promise<number> => {
      const [row] = await answered(sql<{ sealed: number }[]>`
        SELECT cellhouse_seal(${gatewayId}, ${limit}) AS sealed`);
      return row?.sealed ?? 0;
    },

    /**
     * How many events have no link yet. Positions whose events were deleted before the chain existed also count, until
     * sealing has passed them.
     */
    unsealedEvents: async (): Promise<number> => {
      const [row] = await answered(sql<{ count: number }[]>`
        SELECT coalesce((SELECT max(position) FROM events), 0) - coalesce((SELECT position FROM chain_head), 0)
          AS count`);
      return row?.count ?? 0;
    },

    /**
     * The open day, if it is in the future: the clock of the database was set back, or was wrong before. Otherwise
     * null.
     */
    openDayAhead: async (): Promise<string | null> => {
      const [row] = await answered(sql<{ day: string }[]>`
        SELECT open_day::text AS day FROM chain_head
        WHERE open_day > (clock_timestamp() AT TIME ZONE 'UTC')::date AND open_day < 'infinity'`);
      return row?.day ?? null;
    },

    /** The heads of all closed days, in order. */
    auditHeads: async (): Promise<AuditHead[]> =>
      await answered(sql<AuditHead[]>`
        SELECT c.chain_id, d.day::text, d.position, encode(d.head, 'hex') AS head
        FROM chain_days d, chain_head c ORDER BY d.position, d.day`),
  };
}

/** A row of `executions`: the state, and the position of its request, which is not part of the state. */
export type ExecutionRow = Execution & { readonly requestedPosition: number };

export function toExecution({ requestedPosition: _, ...execution }: ExecutionRow): Execution {
  return execution;
}

/** The only row, or null. */
export function firstOrNull<T>(rows: readonly T[]): T | null {
  return rows[0] ?? null;
}

/** Whether a row of the table `t` is the owner's. Without a user, the owner is the whole tenant. */
export function isOf(sql: Sql, { tenant, userUuid }: Owner) {
  return sql`
    (t.tenant = ${tenant} AND (${userUuid}::text IS NULL OR t.user_uuid = ${userUuid}::text))`;
}
