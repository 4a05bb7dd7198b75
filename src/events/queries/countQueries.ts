/** Queries that count, for quotas and for the audit. */
import type { EgressCount, EgressKey } from '../../domain/egress.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId, QuotaId } from '../../domain/ids.ts';
import {
  type CountedKind,
  type Quota,
  type QuotaOwner,
  quotaOwnerKey,
} from '../../domain/quota.ts';
import {
  type Client,
  type DatabaseAddress,
  type OneConnection,
  onOneConnection,
} from '../connection/client.ts';

/** How much is used of each quota that is counted in the commit. */
type QuotaUse = Readonly<Record<CountedKind, number>>;

/** The facts of an execution that determine its lane. */
export type QueueKey = Pick<Execution, 'sessionId' | 'language' | 'contextId'>;

/** How much is used of the quotas of unfinished executions. */
interface UnfinishedUse extends Pick<QuotaUse, 'RUNNING_EXECUTIONS' | 'QUEUED_EXECUTIONS'> {
  /** Whether one more execution in the lane would run at once instead of waiting. */
  readonly isLaneFree: boolean;
}

/** What ended executions have used today, as of a position. */
export interface DayUse {
  /** The beginning of the day (UTC), by the clock of the database. */
  readonly day: Date;
  /** The position of the last event that is included. */
  readonly position: number;
  /** One for each user. */
  readonly uses: readonly Pick<Execution, 'tenant' | 'userUuid' | 'cpuMs' | 'outputBytes'>[];
  /** The executions that had not ended at `position`. */
  readonly unfinished: readonly Pick<Execution, 'id' | 'tenant' | 'userUuid' | 'timeoutMs'>[];
}

export function createQuotaQueries({ sql, answered }: Client) {
  return {
    /** All quotas that operators have set. */
    setQuotas: async (): Promise<Quota[]> => await answered(sql<Quota[]>`SELECT * FROM quotas`),

    setQuota: async (id: QuotaId): Promise<Quota | null> => {
      const [quota] = await answered(sql<Quota[]>`SELECT * FROM quotas WHERE id = ${id}`);
      return quota ?? null;
    },

    /**
     * What the executions that ended today have used. It is one statement, so that everything is as of one position.
     * @param cpus how many CPUs a worker may use. An execution with unknown CPU time counts as if it had used all of
     * them while it ran, but for no longer than its time limit
     */
    dayUse: async (cpus: number): Promise<DayUse> => {
      const today = sql`date_trunc('day', now(), 'UTC')`;
      const [row] = await answered(sql<DayUse[]>`
        SELECT ${today} AS day, (SELECT coalesce(max(e.position), 0) FROM events e) AS position,
          (SELECT coalesce(json_agg(u), '[]') FROM (
            SELECT x.tenant AS "tenant", x.user_uuid AS "userUuid",
              coalesce(sum(coalesce(x.cpu_ms, CASE WHEN x.run_ms > x.timeout_ms THEN x.timeout_ms ELSE x.run_ms END * ${cpus}::float8)), 0) AS "cpuMs",
              sum(x.output_bytes)::float8 AS "outputBytes"
            FROM executions x WHERE x.finished_at >= ${today} GROUP BY x.tenant, x.user_uuid) u) AS uses,
          (SELECT coalesce(json_agg(r), '[]') FROM (
            SELECT x.id AS "id", x.tenant AS "tenant", x.user_uuid AS "userUuid", x.timeout_ms AS "timeoutMs"
            FROM executions x WHERE x.finished_at IS NULL) r) AS unfinished`);
      return { day: new Date(0), position: 0, uses: [], unfinished: [], ...row };
    },

    /**
     * What the tenant or its user uses now, counted as `cellhouse_require_quotas` counts it.
     * @param maxCommands how many commands of a session run at the same time
     */
    quotaUse: async (owner: QuotaOwner, maxCommands: number): Promise<QuotaUse> => {
      const { tenant, userUuid } = owner;
      const [row] = await answered(sql<
        { sessions: number; running: number; queued: number; minute: number }[]
      >`
        WITH unfinished AS (${unfinished(owner, maxCommands)})
        SELECT ${runningAndQueued()},
          (SELECT count(*) FROM sessions s WHERE s.tenant = ${tenant} AND s.closed_at IS NULL
            AND (${userUuid}::text IS NULL OR s.user_uuid = ${userUuid}))::int AS sessions,
          (SELECT count(*) FROM executions x WHERE x.tenant = ${tenant}
            AND (${userUuid}::text IS NULL OR x.user_uuid = ${userUuid})
            AND x.requested_position >= (SELECT cellhouse_position_at(
              date_trunc('minute', clock_timestamp()), coalesce(max(e.position), 0)) FROM events e))::int AS minute`);
      return {
        OPEN_SESSIONS: row?.sessions ?? 0,
        RUNNING_EXECUTIONS: row?.running ?? 0,
        QUEUED_EXECUTIONS: row?.queued ?? 0,
        EXECUTIONS_PER_MINUTE: row?.minute ?? 0,
      };
    },

    /** Like `quotaUse`, but only for unfinished executions. */
    unfinishedUse: async (
      owner: QuotaOwner,
      maxCommands: number,
      { sessionId, language, contextId }: QueueKey,
    ): Promise<UnfinishedUse> => {
      const [row] = await answered(sql<{ running: number; queued: number; isLaneFree: boolean }[]>`
        WITH unfinished AS (${unfinished(owner, maxCommands)})
        SELECT ${runningAndQueued()}, NOT EXISTS (
          SELECT FROM unfinished u WHERE u.session_id = ${sessionId} AND u.language = ${language}
            AND u.context_id IS NOT DISTINCT FROM ${contextId}::uuid AND u.count >= u.lanes) AS "isLaneFree"`);
      return {
        RUNNING_EXECUTIONS: row?.running ?? 0,
        QUEUED_EXECUTIONS: row?.queued ?? 0,
        isLaneFree: row?.isLaneFree ?? true,
      };
    },
  };

  /**
   * The lanes that are in use. `count` is the number of unfinished executions of a lane, `lanes` how many of them can
   * run at the same time.
   */
  function unfinished({ tenant, userUuid }: QuotaOwner, maxCommands: number) {
    return sql`
      SELECT x.session_id, x.language, x.context_id, count(*) AS count,
        CASE x.language WHEN 'BASH' THEN ${maxCommands}::int ELSE 1 END AS lanes
      FROM executions x
      WHERE x.tenant = ${tenant} AND x.finished_at IS NULL
        AND (${userUuid}::text IS NULL OR x.user_uuid = ${userUuid})
      GROUP BY x.session_id, x.language, x.context_id`;
  }

  function runningAndQueued() {
    return sql`(SELECT coalesce(sum(least(u.count, u.lanes)), 0) FROM unfinished u)::int AS running,
      (SELECT coalesce(sum(greatest(u.count - u.lanes, 0)), 0) FROM unfinished u)::int AS queued`;
  }
}

// How many bytes the records of executions take (decision 0048).

/** How many bytes the records of executions take, as of a position. */
export interface StoredUse {
  /** The position of the last event that is included. */
  readonly position: number;
  /** One for each user. */
  readonly uses: readonly StoredOfUser[];
  /** The executions that had not ended at `position`. `uses` includes their code and input, but not their output. */
  readonly unfinished: readonly Pick<Execution, 'id' | 'tenant' | 'userUuid'>[];
}

/** Bytes of code, input and output of some executions of a user. */
export interface StoredOfUser extends Pick<Execution, 'tenant' | 'userUuid'> {
  readonly bytes: number;
}

/** How many blocks of 8 KiB one statement reads: few enough to be quick, whatever the size of the table. */
const PAGE_BLOCKS = 8_192;

/**
 * @param address the address of the same database: the long read has a connection of its own, so it delays no other
 * query
 */
export function createStoredQueries({ sql, answered }: Client, address: DatabaseAddress) {
  /** Columns for executions `x`. A pruned execution keeps its row. */
  const stored = sql`
    x.tenant, x.user_uuid,
    sum(x.code_bytes + x.input_bytes + coalesce(x.stored_output_bytes, 0))::float8 AS bytes`;

  /**
   * The row of a forgotten execution also stays, with its sizes, but with an empty hash. This condition excludes it.
   */
  const isKept = sql`x.code_sha256 <> ''`;

  /** The sum of each user over a range of blocks. */
  const readPage = async (one: OneConnection, from: number, to: number) =>
    await one.answered(one.sql<StoredOfUser[]>`
      SELECT ${stored} FROM executions x
      WHERE x.ctid >= ${`(${from},0)`}::text::tid AND x.ctid < ${`(${to},0)`}::text::tid
        AND ${isKept} AND NOT EXISTS (SELECT FROM pruned_streams p WHERE p.stream_id = 'execution-' || x.id)
      GROUP BY x.tenant, x.user_uuid`);

  return {
    /**
     * The bytes of all executions that are neither pruned nor forgotten. This reads the whole table once, in the order
     * of its blocks, as of one snapshot.
     * @param pageBlocks how many blocks one statement reads
     */
    storedUse: async (pageBlocks = PAGE_BLOCKS): Promise<StoredUse> =>
      await onOneConnection(address, { name: 'stored' }, (one) =>
        one.transaction(async () => {
          const { blocks, ...start } = await readStart(one);
          const sums = createSums();
          for (let from = 0; from < blocks; from += pageBlocks)
            sums.add(await readPage(one, from, from + pageBlocks));
          return { ...start, uses: sums.all() };
        }, 'ISOLATION LEVEL REPEATABLE READ READ ONLY'),
      ),

    /**
     * The bytes of these executions, which must have ended. Executions that were pruned meanwhile count, forgotten ones
     * do not.
     */
    storedOf: async (executionIds: readonly ExecutionId[]): Promise<StoredOfUser[]> =>
      await answered(sql<StoredOfUser[]>`
        SELECT ${stored} FROM executions x
        WHERE x.id = ANY (${[...executionIds]}::uuid[]) AND ${isKept} GROUP BY x.tenant, x.user_uuid`),
  };
}

type Start = Pick<StoredUse, 'position' | 'unfinished'> & {
  /** How many blocks the table has. Blocks that are added later have no rows of this snapshot. */
  readonly blocks: number;
};

async function readStart({ sql, answered }: OneConnection): Promise<Start> {
  // These settings make PostgreSQL look up for each single execution whether it is pruned. Otherwise, each page would
  // read the whole table of pruned streams.
  await answered(
    sql`SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`,
  );
  const [start] = await answered(sql<Start[]>`
    SELECT (SELECT coalesce(max(e.position), 0) FROM events e) AS position,
      (SELECT coalesce(json_agg(r), '[]') FROM (
        SELECT x.id AS "id", x.tenant AS "tenant", x.user_uuid AS "userUuid"
        FROM executions x WHERE x.finished_at IS NULL) r) AS unfinished,
      pg_relation_size('executions') / current_setting('block_size')::int AS blocks`);
  return start ?? { position: 0, unfinished: [], blocks: 0 };
}

function createSums() {
  const byUser = new Map<string, StoredOfUser>();
  return {
    add: (uses: readonly StoredOfUser[]) => {
      for (const { bytes, ...user } of uses) {
        const key = quotaOwnerKey(user);
        byUser.set(key, { ...user, bytes: bytes + (byUser.get(key)?.bytes ?? 0) });
      }
    },
    all: () => [...byUser.values()],
  };
}

/** How many calls of one minute were refused for the same reason. */
export interface RefusedCalls {
  readonly minute: Date;
  /**
   * The id of the token, or `auth-token`. `unknown` stands for tokens that are not valid, `other` for the calls beyond
   * the limit of rows in a minute.
   */
  readonly token: string;
  readonly operation: string;
  readonly code: string;
  count: number;
}

export function createRefusalQueries({ sql, answered }: Client) {
  return {
    /**
     * Adds to the counts. Several gateways may do so at the same time: all lock the rows in the same order. This must
     * not be repeated after a lost answer: the counts may have been added or not.
     */
    recordRefusedCalls: async (rows: readonly RefusedCalls[]): Promise<void> => {
      await answered(sql`
        INSERT INTO refused_calls AS r (minute, token, operation, code, count)
        SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::text::json)
          AS t (minute timestamptz, token text, operation text, code text, count bigint)
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (minute, token, operation, code) DO UPDATE SET count = r.count + excluded.count`);
    },
  };
}

export function createEgressQueries({ sql, answered }: Client) {
  const recordEgress = async (rows: readonly EgressCount[]): Promise<void> => {
    await answered(sql`
      INSERT INTO egress_counts AS c
        (session_id, minute, host, port, outcome, connections, sent_bytes, received_bytes)
      SELECT t."sessionId", t.minute, CASE WHEN f.it THEN '' ELSE t.host END, CASE WHEN f.it THEN 0 ELSE t.port END,
        t.outcome, sum(t.connections), sum(t."sentBytes"), sum(t."receivedBytes")
      FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS t (
        "sessionId" uuid, minute timestamptz, host text, port integer, outcome text,
        connections bigint, "sentBytes" bigint, "receivedBytes" bigint
      )
      CROSS JOIN LATERAL (
        SELECT EXISTS (
          SELECT FROM events e JOIN event_removals r ON r.position = e.position AND r.leaf IS NOT NULL
          WHERE e.stream_id = 'session-' || t."sessionId" AND e.version = 1
        ) AS it
      ) f
      GROUP BY 1, 2, 3, 4, 5
      ORDER BY 1, 2, 3, 4, 5
      ON CONFLICT (session_id, minute, host, port, outcome) DO UPDATE SET
        connections = c.connections + excluded.connections,
        sent_bytes = c.sent_bytes + excluded.sent_bytes,
        received_bytes = c.received_bytes + excluded.received_bytes`);
  };
  return {
    /**
     * Adds to the counts. Several gateways may do so at the same time: all lock the rows in the same order. This must
     * not be repeated after a lost answer: the counts may have been added or not. Counts of a session whose user was
     * forgotten meanwhile are added without their hosts.
     */
    recordEgress,
    /** Makes the row of the key in this minute, if it is missing. Adds nothing to its counts, so it may be repeated. */
    openEgressCount: (key: EgressKey, minute: Date): Promise<void> =>
      recordEgress([{ ...key, minute, connections: 0, sentBytes: 0, receivedBytes: 0 }]),
  };
}
