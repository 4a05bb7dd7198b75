import type { Execution } from '../../domain/execution.ts';
import type { QuotaId } from '../../domain/ids.ts';
import type { CountedKind, Quota, QuotaOwner } from '../../domain/quota.ts';
import type { Client } from '../connection/client.ts';

/** How much is used of each quota that is counted in the commit. */
export type QuotaUse = Readonly<Record<CountedKind, number>>;

/** The facts of an execution that determine its lane. */
export type QueuePlace = Pick<Execution, 'sessionId' | 'language' | 'contextId'>;

/** How much is used of the quotas of unfinished executions. */
export interface UnfinishedUse extends Pick<QuotaUse, 'RUNNING_EXECUTIONS' | 'QUEUED_EXECUTIONS'> {
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
  /** The executions that had not ended then. */
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
      { sessionId, language, contextId }: QueuePlace,
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
