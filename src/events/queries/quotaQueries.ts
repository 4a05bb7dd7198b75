import type { Execution } from '../../domain/execution.ts';
import type { QuotaId } from '../../domain/ids.ts';
import type { CountedKind, Quota, QuotaOwner } from '../../domain/quota.ts';
import type { Client } from '../connection/client.ts';

/** How much is used of each quota that is counted in the commit. */
export type QuotaUse = Readonly<Record<CountedKind, number>>;

/** What ended executions have used since the beginning of a day, as of a position. */
export interface DayUse {
  readonly day: Date;
  /** The last event that is contained. */
  readonly position: number;
  /** One for each user. */
  readonly uses: readonly Pick<Execution, 'tenant' | 'userUuid' | 'cpuMs' | 'outputBytes'>[];
  /** The executions that had not ended then. */
  readonly unfinished: readonly Pick<Execution, 'id' | 'tenant' | 'userUuid'>[];
}

export function createQuotaQueries({ sql, answered }: Client) {
  return {
    /** All quotas that operators have set. */
    setQuotas: async (): Promise<Quota[]> => await answered(sql<Quota[]>`SELECT * FROM quotas`),

    setQuota: async (id: QuotaId): Promise<Quota | null> => {
      const [quota] = await answered(sql<Quota[]>`SELECT * FROM quotas WHERE id = ${id}`);
      return quota ?? null;
    },

    /** What executions have used that ended at `day` or later. One statement, so that all of it is as of one position. */
    dayUse: async (day: Date): Promise<DayUse> => {
      const [row] = await answered(sql<Omit<DayUse, 'day'>[]>`
        SELECT (SELECT coalesce(max(e.position), 0) FROM events e) AS position,
          (SELECT coalesce(json_agg(u), '[]') FROM (
            SELECT x.tenant AS "tenant", x.user_uuid AS "userUuid", coalesce(sum(x.cpu_ms), 0) AS "cpuMs",
              sum(x.output_bytes)::float8 AS "outputBytes"
            FROM executions x WHERE x.finished_at >= ${day} GROUP BY x.tenant, x.user_uuid) u) AS uses,
          (SELECT coalesce(json_agg(r), '[]') FROM (
            SELECT x.id AS "id", x.tenant AS "tenant", x.user_uuid AS "userUuid"
            FROM executions x WHERE x.finished_at IS NULL) r) AS unfinished`);
      return { position: 0, uses: [], unfinished: [], ...row, day };
    },

    /**
     * What the tenant or its user uses now, counted as `cellhouse_require_quotas` counts it.
     * @param maxCommands how many commands of a session run at the same time
     */
    quotaUse: async ({ tenant, userUuid }: QuotaOwner, maxCommands: number): Promise<QuotaUse> => {
      const [row] = await answered(sql<
        { sessions: number; running: number; queued: number; minute: number }[]
      >`
        WITH unfinished AS (
          SELECT count(*) AS count, CASE x.language WHEN 'BASH' THEN ${maxCommands}::int ELSE 1 END AS lanes
          FROM executions x
          WHERE x.tenant = ${tenant} AND x.finished_at IS NULL
            AND (${userUuid}::text IS NULL OR x.user_uuid = ${userUuid})
          GROUP BY x.session_id, x.language, x.context_id
        )
        SELECT
          (SELECT count(*) FROM sessions s WHERE s.tenant = ${tenant} AND s.closed_at IS NULL
            AND (${userUuid}::text IS NULL OR s.user_uuid = ${userUuid}))::int AS sessions,
          (SELECT coalesce(sum(least(u.count, u.lanes)), 0) FROM unfinished u)::int AS running,
          (SELECT coalesce(sum(greatest(u.count - u.lanes, 0)), 0) FROM unfinished u)::int AS queued,
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
  };
}
